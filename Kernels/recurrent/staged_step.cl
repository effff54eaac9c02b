// Strategy "step" for layers of staged.cl: the products of a step are launches of gemm_tiled, and
// what lies between two products is one launch with a work-group to a sequence.
//
// Layouts as in layer.cl and staged.cl; `weights` matters with DIAGONAL alone. Global size: LANES,
// N.

#include "recurrent/staged.cl"

#define ROW_KERNEL kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void

/// The recurrent products of a diagonal weight_hh, for `count` gates from gate `gate` on.
INLINE void
diagonal_sums(const Layer *layer, int t, int n, global const float *factors, int gate, int count) {
  const int H = layer->H;
  global float *sums = layer->sums + kept_row(layer, t, n) * GATES * H;
  for (int g = gate; g < gate + count; ++g) {
    EACH_UNIT(unit, H) {
      sums[g * H + unit] = factors ? layer->weights[g * H + unit] * factors[unit] : 0.0f;
    }
  }
}

/// The way back: result[unit] = the sum over the gates of weight and gradient.
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

ROW_KERNEL rows_gates(LAYER_PARAMETERS, int t) {
  GROUP_SCRATCH(scratch);
  const Layer layer = LAYER;
  const int n = get_group_id(1);
  if (DIAGONAL) diagonal_sums(&layer, t, n, factor_before(&layer, t, n), 0, FIRST_GATES);
  row_gates(&layer, t, n SCRATCH(scratch));
}

#if RESET_BEFORE
ROW_KERNEL rows_new(LAYER_PARAMETERS, int t) {
  GROUP_SCRATCH(scratch);
  const Layer layer = LAYER;
  const int n = get_group_id(1);
  if (DIAGONAL) diagonal_sums(&layer, t, n, reset + kept_row(&layer, t, n) * H, SLOT_N, 1);
  row_new(&layer, t, n SCRATCH(scratch));
}
#endif

ROW_KERNEL rows_finish(LAYER_PARAMETERS, int t) {
  const Layer layer = LAYER;
  row_finish(&layer, t, get_group_id(1));
}

ROW_KERNEL rows_begin(LAYER_PARAMETERS, GRADIENT_PARAMETERS, int t) {
  const Layer layer = LAYER;
  const Gradients g = GRADIENTS;
  row_begin(&layer, &g, t, get_group_id(1));
}

ROW_KERNEL rows_backward(LAYER_PARAMETERS, GRADIENT_PARAMETERS, int t) {
  GROUP_SCRATCH(scratch);
  const Layer layer = LAYER;
  const Gradients g = GRADIENTS;
  const int n = get_group_id(1);
  row_backward(&layer, &g, t, n SCRATCH(scratch));
  if (DIAGONAL && RESET_BEFORE) {
    diagonal_gradients(&layer, gradients + row_at(&layer, t, n) * GATES * H, GATES - 1, 1,
                       grad_reset + (size_t)n * H);
  }
}

#if RESET_BEFORE
ROW_KERNEL rows_reset(LAYER_PARAMETERS, GRADIENT_PARAMETERS, int t) {
  GROUP_SCRATCH(scratch);
  const Layer layer = LAYER;
  const Gradients g = GRADIENTS;
  row_reset(&layer, &g, t, get_group_id(1) SCRATCH(scratch));
}
#endif

ROW_KERNEL rows_carry(LAYER_PARAMETERS, GRADIENT_PARAMETERS, int t) {
  const Layer layer = LAYER;
  const Gradients g = GRADIENTS;
  const int n = get_group_id(1);
  if (DIAGONAL) {
    diagonal_gradients(&layer, gradients + row_at(&layer, t, n) * GATES * H, 0, FIRST_GATES,
                       back + (size_t)n * H);
  }
  row_carry(&layer, &g, n);
}
