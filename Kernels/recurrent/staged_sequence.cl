// Strategy "staged", for CPUs: one launch computes all steps. A work-item has a slice of the batch,
// and does each stage between two products for one sequence after the other.
//
// Layouts as in layer.cl and staged.cl. The weights are packed by pack_panels: forward as [P, rows]
// each, backward as they are. Global size: slices.

#include "gemm/panel.cl"
#include "recurrent/staged_backward.cl"

/// Some rows of a matrix, `stride` floats apart; null means zeros.
typedef struct {
  global const float *rows;
  int stride;
} Rows;

/// A matrix B, packed in panels, of `columns` columns. Its rows are `parts` times `length`. B may
/// be block-diagonal, again in each `period` of the columns: blocks of `from` columns overlap
/// blocks of `to` rows.
typedef struct {
  global const Packed *panels;
  int parts, length, columns, period, from, to;
} PackedMatrix;

/// c = a B for the rows from `first` to `end` of the N of all slices.
INLINE void slice_product(int first, int end, int N, Rows a, const PackedMatrix *b, global float *c,
                          int c_stride) {
  const int alone = multiplies_alone(N, b->parts * b->length);
  for (int column = 0; column < b->columns; column += COLUMNS) {
    const int count = min(COLUMNS, b->columns - column), offset = column % b->period;
    int begin = 0, stop = b->length;
    // A panel that reaches into the next period needs all rows of B.
    if (offset + count <= b->period) {
      begin = block_range(offset, count, b->from, b->to, b->length, &stop);
    }
    global const Packed *panel = b->panels + (size_t)column * b->parts * b->length;
    for (int n = first; n < end;) {
      const int rows = next_rows(end - n, alone);
      REAL products[ROWS][2];
      for (int r = 0; r < ROWS; ++r) products[r][0] = products[r][1] = (REAL)(0.0f);
      for (int part = 0; part < b->parts; ++part) {
        const int k = part * b->length + begin;
        panel_products(rows, alone, products, a.rows + (size_t)n * a.stride + k, a.stride,
                       panel + (size_t)k * COLUMNS, stop - begin, panel);
      }
      store_tile(rows, products, c + (size_t)n * c_stride + column, c_stride, count);
      n += rows;
    }
  }
}

/// `sums` receives the recurrent products of `gates` gates from `gate` on.
INLINE void slice_sums(const Layer *layer, int first, int end, Rows input,
                       global const float *weights, int gate, int gates, global float *sums) {
  const int H = layer->H, P = layer->P, stride = GATES * H;
  if (DIAGONAL || !input.rows) {
    for (int n = first; n < end; ++n) {
      global const float *row = input.rows ? input.rows + (size_t)n * input.stride : 0;
      for (int i = gate * H; i < (gate + gates) * H; ++i) {
        sums[(size_t)n * stride + i] = row ? layer->weights[i] * row[i % H] : 0.0f;
      }
    }
    return;
  }
  const PackedMatrix matrix = {packed(weights),    1, P, gates * H, H, layer->block_units,
                               layer->block_states};
  slice_product(first, end, layer->N, input, &matrix, sums + gate * H, stride);
}

/// Backward: `result` [N, P] receives the products of these gates' gradients with their weights.
INLINE void
slice_gradients(const Layer *layer, int first, int end, global const float *gradients,
                global const float *weights, int gate, int gates, global float *result) {
  const int H = layer->H, P = layer->P, stride = GATES * H;
  if (DIAGONAL) {
    for (int n = first; n < end; ++n) {
      for (int unit = 0; unit < H; ++unit) {
        float sum = 0.0f;
        for (int i = gate * H + unit; i < (gate + gates) * H; i += H) {
          sum = fma(layer->weights[i], gradients[(size_t)n * stride + i], sum);
        }
        result[(size_t)n * H + unit] = sum;
      }
    }
    return;
  }
  const Rows rows = {gradients + gate * H, stride};
  const PackedMatrix matrix = {packed(weights),   gates, H, P, P, layer->block_states,
                               layer->block_units};
  slice_product(first, end, layer->N, rows, &matrix, result, P);
}

/// What a work-item does of staged_forward, for the rows from `first` to `end`. It copies its
/// arguments, so that compilers can keep their members in registers.
OUTLINE void
forward_steps(const Staged *given, int first, int end, global float *h_n, global float *c_n) {
  const Staged staged = *given;
  const Layer *layer = &staged.layer;
  const int T = layer->T, H = layer->H, P = layer->P;
  for (int s = 0; s < T; ++s) {
    const int t = layer->reverse ? T - 1 - s : s;
    const size_t step = kept_row(layer, t, 0);
    global float *sums = staged.sums + step * GATES * H;
    const Rows input = {recurrent_input_before(layer, t, 0), recurrent_input_stride(layer, t)};
    slice_sums(layer, first, end, input, layer->weights, 0, FIRST_GATES, sums);
    for (int n = first; n < end; ++n) stage_gates(&staged, t, n);
#if RESET_BEFORE
    const Rows reset = {staged.reset + step * H, H};
    slice_sums(layer, first, end, reset, staged.weights_n, SLOT_N, 1, sums);
    for (int n = first; n < end; ++n) stage_new_gate(&staged, t, n);
#endif
    if (PROJECTION) {
      const Rows hidden = {staged.hidden + step * H, H};
      const PackedMatrix matrix = {packed(staged.weights_p), 1, H, P, P, P, H};
      slice_product(first, end, layer->N, hidden, &matrix, layer->y + y_row_offset(layer, t, 0),
                    layer->y_stride);
    }
    for (int n = first; n < end; ++n) stage_finish(&staged, t, n);
  }
  for (int n = first; n < end; ++n) finish_sequence(layer, n, h_n, c_n);
}

/// The same for staged_backward.
OUTLINE void
backward_steps(const Staged *given, const Gradients *given_gradients, int first, int end) {
  const Staged staged = *given;
  const Layer *layer = &staged.layer;
  const Gradients g = *given_gradients;
  const int T = layer->T, H = layer->H, P = layer->P;
  for (int s = T - 1; s >= 0; --s) {
    const int t = layer->reverse ? T - 1 - s : s;
    const size_t step = row_at(layer, t, 0);
    global float *gradients = g.gradients + step * GATES * H;
    for (int n = first; n < end; ++n) stage_begin(&staged, &g, t, n);
    if (PROJECTION) {
      const Rows states = {g.grad_states + step * P, P};
      const PackedMatrix matrix = {packed(staged.weights_p), 1, P, H, H, H, P};
      slice_product(first, end, layer->N, states, &matrix, g.grad_hidden, H);
    }
    for (int n = first; n < end; ++n) stage_backward(&staged, &g, t, n);
#if RESET_BEFORE
    slice_gradients(layer, first, end, gradients, staged.weights_n, SLOT_N, 1, g.grad_reset);
    for (int n = first; n < end; ++n) stage_reset(&staged, &g, t, n);
#endif
    slice_gradients(layer, first, end, gradients, layer->weights, 0, FIRST_GATES, g.back);
    for (int n = first; n < end; ++n) stage_carry(&staged, &g, n);
  }
}

/// All steps forward; `gates` holds x W^T with its bias, normalised where the layer is.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
staged_forward(STAGED_PARAMETERS, global float *h_n, global float *c_n) {
  const Staged staged = STAGED;
  const int slices = get_global_size(0), slice = get_global_id(0);
  forward_steps(&staged, slice_begin(slice, slices, N), slice_begin(slice + 1, slices, N), h_n,
                c_n);
}

/// All steps backward. `gates` holds what the forward pass kept and receives the gradients of the
/// sums; `dh` and `dc` begin as the gradients of h_n and c_n and end as those of h_0 and c_0.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
staged_backward(STAGED_PARAMETERS, GRADIENT_PARAMETERS) {
  const Staged staged = STAGED;
  const Gradients g = GRADIENTS;
  const int slices = get_global_size(0), slice = get_global_id(0);
  backward_steps(&staged, &g, slice_begin(slice, slices, N), slice_begin(slice + 1, slices, N));
}
