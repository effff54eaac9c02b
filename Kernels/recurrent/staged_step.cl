// Strategy "staged", for GPUs: the products of a step are launches of gemm_tiled, and each stage
// between two products is one launch with a work-group for each sequence.
//
// Layouts as in layer.cl and staged.cl; of `weights` only a diagonal is read. Global size: LANES,
// N.

#include "recurrent/staged_backward.cl"

#define STAGE_KERNEL kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void

/// The recurrent products of a diagonal weight_hh, for `count` gates from gate `gate` on.
INLINE void diagonal_sums(const Staged *staged, int t, int n, global const float *recurrent_input,
                          int gate, int count) {
  const Layer *layer = &staged->layer;
  const int H = layer->H;
  global float *sums = staged->sums + kept_row(layer, t, n) * GATES * H;
  for (int g = gate; g < gate + count; ++g) {
    EACH_UNIT(unit, H) {
      sums[g * H + unit] =
          recurrent_input ? layer->weights[g * H + unit] * recurrent_input[unit] : 0.0f;
    }
  }
}

/// Backward: result[unit] = the sum over the gates of weight times gradient.
INLINE void diagonal_gradients(const Layer *layer, global const float *gradients, int gate,
                               int count, global float *result) {
  const int H = layer->H;
  EACH_UNIT(unit, H) {
    float sum = 0.0f;
    for (int g = gate; g < gate + count; ++g) {
      sum = fma(layer->weights[g * H + unit], gradients[g * H + unit], sum);
    }
    result[unit] = sum;
  }
}

STAGE_KERNEL staged_gates(STAGED_PARAMETERS, int t) {
  GROUP_SCRATCH(scratch);
  const Staged staged = STAGED;
  const int n = get_group_id(1);
  if (DIAGONAL)
    diagonal_sums(&staged, t, n, recurrent_input_before(&staged.layer, t, n), 0, FIRST_GATES);
  stage_gates(&staged, t, n SCRATCH(scratch));
}

#if RESET_BEFORE
STAGE_KERNEL staged_new_gate(STAGED_PARAMETERS, int t) {
  GROUP_SCRATCH(scratch);
  const Staged staged = STAGED;
  const int n = get_group_id(1);
  if (DIAGONAL) diagonal_sums(&staged, t, n, reset + kept_row(&staged.layer, t, n) * H, SLOT_N, 1);
  stage_new_gate(&staged, t, n SCRATCH(scratch));
}
#endif

STAGE_KERNEL staged_finish(STAGED_PARAMETERS, int t) {
  const Staged staged = STAGED;
  stage_finish(&staged, t, get_group_id(1));
}

STAGE_KERNEL staged_begin(STAGED_PARAMETERS, GRADIENT_PARAMETERS, int t) {
  const Staged staged = STAGED;
  const Gradients g = GRADIENTS;
  stage_begin(&staged, &g, t, get_group_id(1));
}

STAGE_KERNEL staged_backward(STAGED_PARAMETERS, GRADIENT_PARAMETERS, int t) {
  GROUP_SCRATCH(scratch);
  const Staged staged = STAGED;
  const Gradients g = GRADIENTS;
  const int n = get_group_id(1);
  stage_backward(&staged, &g, t, n SCRATCH(scratch));
  if (DIAGONAL && RESET_BEFORE) {
    diagonal_gradients(&staged.layer, gradients + row_at(&staged.layer, t, n) * GATES * H,
                       GATES - 1, 1, grad_reset + (size_t)n * H);
  }
}

#if RESET_BEFORE
STAGE_KERNEL staged_reset(STAGED_PARAMETERS, GRADIENT_PARAMETERS, int t) {
  GROUP_SCRATCH(scratch);
  const Staged staged = STAGED;
  const Gradients g = GRADIENTS;
  stage_reset(&staged, &g, t, get_group_id(1) SCRATCH(scratch));
}
#endif

STAGE_KERNEL staged_carry(STAGED_PARAMETERS, GRADIENT_PARAMETERS, int t) {
  const Staged staged = STAGED;
  const Gradients g = GRADIENTS;
  const int n = get_group_id(1);
  if (DIAGONAL) {
    diagonal_gradients(&staged.layer, gradients + row_at(&staged.layer, t, n) * GATES * H, 0,
                       FIRST_GATES, back + (size_t)n * H);
  }
  stage_carry(&staged, &g, n);
}
