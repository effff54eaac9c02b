// Strategy "sequence" for layers of staged.cl: one launch walks all steps; a work-item owns a slice
// of the batch and does everything between two products row by row.
//
// Layouts as in layer.cl and staged.cl. The weights are packed by pack_panels: forward as [P, rows]
// each, backward as they are. Global size: slices.

#include "gemm/panel.cl"
#include "recurrent/staged.cl"

/// What of B a panel of its columns needs: blocks of `from` columns, repeated every `period`, meet
/// blocks of `to` of its K.
typedef struct {
  int period, from, to;
} Blocks;

/// c = a B for the rows from `first` to `end`. B is packed in panels, and its K are `parts` times
/// `length`. A row of c has `c_stride` floats, of which the product fills `columns`.
INLINE void
slice_product(int first, int end, global const float *a, int a_stride, global const Packed *panels,
              int parts, int length, int columns, Blocks blocks, global float *c, int c_stride) {
  for (int column = 0; column < columns; column += COLUMNS) {
    const int count = min(COLUMNS, columns - column), place = column % blocks.period;
    int begin = 0, stop = length;
    // A panel that reaches into the next period needs all of K.
    if (place + count <= blocks.period) {
      begin = block_range(place, count, blocks.from, blocks.to, length, &stop);
    }
    global const Packed *panel = panels + (size_t)column * parts * length;
    for (int n = first; n < end;) {
      const int rows = next_rows(end - n);
      REAL products[ROWS][2];
      for (int r = 0; r < rows; ++r) products[r][0] = products[r][1] = (REAL)(0.0f);
      for (int part = 0; part < parts; ++part) {
        panel_products(rows, products, a + (size_t)n * a_stride + part * length + begin, a_stride,
                       panel + (size_t)(part * length + begin) * COLUMNS, stop - begin, panel);
      }
      for (int r = 0; r < rows; ++r) {
        global float *row = c + (size_t)(n + r) * c_stride + column;
        store_lanes(products[r][0], row, count);
        store_lanes(products[r][1], row + WIDTH, count - WIDTH);
      }
      n += rows;
    }
  }
}

/// The recurrent products of `gates` gates from gate `gate` on; the rows of `factors` are those of
/// the batch, `factor_stride` apart.
INLINE void
slice_sums(const Layer *layer, int first, int end, global const float *factors, int factor_stride,
           global const float *weights, int gate, int gates, global float *sums) {
  const int H = layer->H, P = layer->P, stride = GATES * H;
  if (DIAGONAL || !factors) {
    for (int n = first; n < end; ++n) {
      for (int i = gate * H; i < (gate + gates) * H; ++i) {
        sums[(size_t)n * stride + i] =
            factors ? layer->weights[i] * factors[(size_t)n * factor_stride + i % H] : 0.0f;
      }
    }
    return;
  }
  const Blocks blocks = {H, layer->block_units, layer->block_states};
  slice_product(first, end, factors, factor_stride, packed(weights), 1, P, gates * H, blocks,
                sums + gate * H, stride);
}

/// The way back of slice_sums: `result` [N, P].
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
  const Blocks blocks = {P, layer->block_states, layer->block_units};
  slice_product(first, end, gradients + gate * H, stride, packed(weights), gates, H, P, blocks,
                result, P);
}

/// What a work-item does of rows_forward, for the rows from `first` to `end`. It has a copy of its
/// own of the layer, whose parts may stand in registers.
OUTLINE void
walk_forward(const Layer *given_layer, int first, int end, global float *h_n, global float *c_n) {
  const Layer layer = *given_layer;
  const int T = layer.T, H = layer.H, P = layer.P;
  for (int s = 0; s < T; ++s) {
    const int t = layer.reverse ? T - 1 - s : s;
    global float *step_sums = layer.sums + kept_row(&layer, t, 0) * GATES * H;
    slice_sums(&layer, first, end, factor_before(&layer, t, 0), factor_stride(&layer, t),
               layer.weights, 0, FIRST_GATES, step_sums);
    for (int n = first; n < end; ++n) row_gates(&layer, t, n);
#if RESET_BEFORE
    slice_sums(&layer, first, end, layer.reset + kept_row(&layer, t, 0) * H, H, layer.weights_n,
               SLOT_N, 1, step_sums);
    for (int n = first; n < end; ++n) row_new(&layer, t, n);
#endif
    if (PROJECTION) {
      const Blocks whole = {P, P, H};
      slice_product(first, end, layer.hidden + kept_row(&layer, t, 0) * H, H,
                    packed(layer.weights_p), 1, H, P, whole, layer.y + y_place(&layer, t, 0),
                    layer.y_stride);
    }
    for (int n = first; n < end; ++n) row_finish(&layer, t, n);
  }
  for (int n = first; n < end; ++n) finish_sequence(&layer, n, h_n, c_n);
}

/// The same of rows_backward.
OUTLINE void
walk_backward(const Layer *given_layer, const Gradients *given_gradients, int first, int end) {
  const Layer layer = *given_layer;
  const Gradients g = *given_gradients;
  const int T = layer.T, H = layer.H, P = layer.P;
  for (int s = T - 1; s >= 0; --s) {
    const int t = layer.reverse ? T - 1 - s : s;
    const size_t step = row_at(&layer, t, 0);
    global float *step_gradients = g.gradients + step * GATES * H;
    for (int n = first; n < end; ++n) row_begin(&layer, &g, t, n);
    if (PROJECTION) {
      const Blocks whole = {H, H, P};
      slice_product(first, end, g.grad_states + step * P, P, packed(layer.weights_p), 1, P, H,
                    whole, g.grad_hidden, H);
    }
    for (int n = first; n < end; ++n) row_backward(&layer, &g, t, n);
#if RESET_BEFORE
    slice_gradients(&layer, first, end, step_gradients, layer.weights_n, SLOT_N, 1, g.grad_reset);
    for (int n = first; n < end; ++n) row_reset(&layer, &g, t, n);
#endif
    slice_gradients(&layer, first, end, step_gradients, layer.weights, 0, FIRST_GATES, g.back);
    for (int n = first; n < end; ++n) row_carry(&layer, &g, n);
  }
}

/// All steps forward; `gates` holds x W^T, normalised where the layer is, with its bias.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
rows_forward(LAYER_PARAMETERS, global float *h_n, global float *c_n) {
  const Layer layer = LAYER;
  const int slices = get_global_size(0), slice = get_global_id(0);
  walk_forward(&layer, slice_begin(slice, slices, N), slice_begin(slice + 1, slices, N), h_n, c_n);
}

/// All steps backward. `gates` holds what the forward pass kept and receives the gradients of the
/// sums; `dh` and `dc` begin as the gradients of h_n and c_n and end as those of h_0 and c_0.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
rows_backward(LAYER_PARAMETERS, GRADIENT_PARAMETERS) {
  const Layer layer = LAYER;
  const Gradients g = GRADIENTS;
  const int slices = get_global_size(0), slice = get_global_id(0);
  walk_backward(&layer, &g, slice_begin(slice, slices, N), slice_begin(slice + 1, slices, N));
}
