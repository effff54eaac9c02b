// Strategy "sequence", backward: one launch walks all steps against the layer's direction.
//
// Slices of the batch and parts of the units as in sequence.cl. The gates' gradients take
// the place of what the forward pass kept. They, the inputs and the states are also laid out for
// the products of all steps that make the gradients of weights, while they are in the caches. The
// gradients of the inputs may be made on the way: like those of the states they are products of the
// gates' gradients of the step after.
//
//   sequence_backward  all steps.
//
// Layouts as in layer.cl, P = H, and gradient_tiles.cl, whose slots are those of the cell. There
// the steps of a slice follow each other, those of a sequence that it does not have left out.
// Global size: slices, or parts.

#include "gemm/gradient_tiles.cl"
#include "recurrent/layer.cl"
#include "recurrent/shares.cl"

/// What the products of all steps are made from, and the gradients of the inputs: x [T, N, C],
/// their gradients, or null, and weight_ih packed by pack_panels; see gradient_tiles.cl.
typedef struct {
  global const float *x;
  global const Packed *weights;
  global float *grad_x, *tiles, *panels;
  int C, K;
} Products;

/// sums[r] += the gradients that reach the states from the step after, whose gates' gradients are
/// `after`: the product with weight_hh, for COLUMNS units from `unit` on. The rows begin at `row`
/// of their slice.
INLINE void add_gradients_from(int rows, int row, REAL sums[ROWS][2], const Layer *layer,
                               global const float *after[ROWS], int unit) {
  const int H = layer->H;
  if (!RECURRENT) return;
  if (DIAGONAL) {
    for (int r = 0; r < rows; ++r) {
      for (int v = 0; v < 2 && unit + v * WIDTH < H; ++v) {
        const int first = unit + v * WIDTH, count = H - first;
        for (int gate = 0; gate < GATES; ++gate) {
          global const float *row = after[r] + (size_t)RECURRENT_SLOT(gate) * H;
          sums[r][v] = fma(load_lanes(layer->weights + gate * H + first, count),
                           load_lanes(row + first, count), sums[r][v]);
        }
      }
    }
    return;
  }
  global const Packed *panel =
      packed(layer->weights) + (size_t)(unit / COLUMNS) * GATES * H * COLUMNS;
  // The gates whose slots and rows follow each other are one product.
  const int is_whole = layer->block_units >= H;
  int end, gates;
  const int begin =
      block_range(unit, min(COLUMNS, H - unit), layer->block_states, layer->block_units, H, &end);
  for (int gate = 0; gate < GATES; gate += gates) {
    gates = is_whole && gate < PLAIN_GATES ? PLAIN_GATES : 1;
    global const float *a[ROWS];
    for (int r = 0; r < rows; ++r) a[r] = after[r] + (size_t)RECURRENT_SLOT(gate) * H + begin;
    global const Packed *gate_panel = panel + (size_t)(gate * H + begin) * COLUMNS;
    const int depth = (gates - 1) * H + end - begin;
    row_products(rows, sums, a, gate_panel, depth,
                 quarter_ahead(gate_panel, (size_t)GATES * H * COLUMNS, depth, row));
  }
}

/// The gradients that reach the states at step t other than through the products, of `count` units
/// from `unit` on.
INLINE REAL gradient_at(const Layer *layer, int t, int n, int unit, int count,
                        global const float *grad_y, global const float *grad_h_n,
                        global const float *dh) {
  const size_t state = (size_t)n * layer->H + unit;
  REAL sum = (REAL)(0.0f);
  if (dh) sum = load_lanes(dh + state, count);
  else if (t == last_step(layer) && grad_h_n) sum = load_lanes(grad_h_n + state, count);
  if (t >= 0 && t < layer->T) {
    sum += load_lanes(grad_y + y_place(layer, t, n) + unit, count);
  }
  return sum;
}

/// Step t back of the rows from `row` on, which are k and those after it of all steps, for COLUMNS
/// units, or with t outside the sequence the gradient of h_0 into `grad_h_0`.
INLINE void
backward_tile(int rows, const Layer *layer, const Share *share, const Products *products, int t,
              int row, int k, int first, global const float *grad_y, global const float *grad_h_n,
              global float *dh, global float *dc, global float *grad_h_0) {
  const int T = layer->T, N = layer->N, H = layer->H;
  const int t_after = layer->reverse ? t - 1 : t + 1, is_initial = t < 0 || t >= T;
  REAL sums[ROWS][2];
  global const float *after[ROWS], *cells[ROWS], *factors[ROWS];
#pragma clang loop vectorize(disable)
  for (int r = 0; r < rows; ++r) {
    const int n = sequence_of(share, row + r);
    // A reverse layer comes to each sequence's h_0 from the sequence's own last step.
    const int own = is_initial && layer->reverse && layer->lengths;
    const int step = own ? max(layer->lengths[n], 1) - 1 : t_after;
    after[r] = layer->gates + gates_place(layer, step, n);
    sums[r][0] = sums[r][1] = (REAL)(0.0f);
    if (is_initial) continue;
    // What comes from memory has the time of the product to come.
    const size_t index = (size_t)t * N + n;
    cells[r] = HAS_CELL_STATE ? own_cell(layer, t, n, 1) : 0;
    factors[r] = own_factor(layer, t, n);
    for (int unit = first; unit < first + COLUMNS; unit += WIDTH) {
      fetch(grad_y + y_place(layer, t, n) + unit);
      EACH_MEMORY(k) {
        const size_t place = memory_place(layer, t, n) + (size_t)k * H + unit;
        fetch((ZONEOUT ? layer->fresh : layer->cells) + place);
        if (cells[r]) fetch(cells[r] + (size_t)k * H + unit);
      }
      if (HAS_MATRIX && factors[r]) fetch(factors[r] + unit);
      for (int slot = 0; slot < SLOTS; ++slot) {
        fetch(layer->gates + index * layer->gates_stride + slot * H + unit);
        fetch(products->tiles + tile_place(slot * padded_width(H) + unit, k + r, products->K));
      }
    }
  }
  if (t != last_step(layer))
    add_gradients_from(rows, row - share->first, sums, layer, after, first);
  for (int v = 0; v < 2; ++v) {
    const int unit = first + v * WIDTH, count = H - unit;
    if (count <= 0) break;
    Peepholes p;
    load_peepholes(&p, layer, unit, count);
    for (int r = 0; r < rows; ++r) {
      const int n = sequence_of(share, row + r);
      const size_t state = (size_t)n * H + unit, index = (size_t)t * N * H + state;
      REAL gradient = gradient_at(layer, t, n, unit, count, grad_y, grad_h_n, dh);
      if (layer->mask) {
        gradient = fma(sums[r][v], load_lanes(layer->mask + state, count), gradient);
      } else {
        gradient += sums[r][v];
      }
      if (is_initial) {
        store_lanes(gradient, grad_h_0 + state, count);
        continue;
      }
      global float *gates = layer->gates + gates_place(layer, t, n) + unit;
      REAL slots[SLOTS], direct = (REAL)(0.0f);
      REAL h_before = (REAL)(0.0f), c_before[MEMORY], c[MEMORY], carried[MEMORY], kept[MEMORY];
      if (HAS_DIRECT_PATH) {
        global const float *h = own_hidden(layer, t, n);
        if (h) h_before = load_lanes(h + unit, count);
      }
      global float *dc_row = HAS_CELL_STATE ? dc + (size_t)n * MEMORIES * H : 0;
      if (HAS_CELL_STATE) {
        global const float *cells_after = ZONEOUT ? layer->fresh : layer->cells;
        load_memory(c_before, cells[r], H, unit, count);
        load_memory(c, cells_after + memory_place(layer, t, n), H, unit, count);
        load_memory(carried, dc_row, H, unit, count);
        EACH_MEMORY(k) {
          kept[k] = (REAL)(0.0f);
          if (ZONEOUT) {
            kept[k] = kept_cell(layer, index, count) * carried[k];
            carried[k] -= kept[k];
          }
        }
      }
#pragma unroll
      for (int slot = 0; slot < SLOTS; ++slot) {
        slots[slot] = load_lanes(gates + (size_t)slot * H, count);
      }
      const REAL kept_gradient = kept_hidden(layer, index, count) * gradient;
      cell_backward(slots, h_before, c_before, c, gradient - kept_gradient, carried, &direct, p);
      EACH_MEMORY(k) store_lanes(carried[k] + kept[k], dc_row + (size_t)k * H + unit, count);
      if (dh) store_lanes(direct + kept_gradient, dh + state, count);
#pragma unroll
      for (int slot = 0; slot < SLOTS; ++slot) {
        store_lanes(slots[slot], gates + (size_t)slot * H, count);
        store_in_tiles(slots[slot], products->tiles, slot * padded_width(H) + unit, k + r,
                       products->K);
      }
    }
  }
  if (!HAS_MATRIX || is_initial) return;
  global float *panel =
      products->panels + (size_t)(panel_count(products->C) * COLUMNS + first) * products->K;
  for (int r = 0; r < rows; ++r) {
    store_in_panel(factors[r] ? factors[r] + first : 0, H - first, panel, k + r);
  }
}

/// The gradients of COLUMNS inputs from `first` on at step t, of the rows from `row` on, once those
/// of the step's gates are there.
INLINE void input_tile(int rows, const Layer *layer, const Share *share, const Products *products,
                       int t, int row, int first) {
  const int H = layer->H, C = products->C;
  REAL sums[ROWS][2];
  global const float *gates[ROWS];
  global float *results[ROWS];
  for (int r = 0; r < rows; ++r) {
    const size_t index = (size_t)t * layer->N + sequence_of(share, row + r);
    gates[r] = layer->gates + index * layer->gates_stride;
    results[r] = products->grad_x + index * C + first;
    sums[r][0] = sums[r][1] = (REAL)(0.0f);
  }
  global const Packed *panel = products->weights + (size_t)first * GATES * H;
  row_products(rows, sums, gates, panel, GATES * H, panel);
  for (int r = 0; r < rows; ++r) {
    store_lanes(sums[r][0], results[r], C - first);
    store_lanes(sums[r][1], results[r] + WIDTH, C - first - WIDTH);
  }
}

/// Where the inputs of a step are laid out, from row k on of all steps, COLUMNS of them from
/// `first` on.
INLINE void pack_inputs(const Layer *layer, const Share *share, const Products *products, int t,
                        int end, int k, int first) {
  const int C = products->C;
  for (int row = share->first; row < end; ++row) {
    const size_t index = (size_t)t * layer->N + sequence_of(share, row);
    store_in_panel(products->x + index * C + first, C - first,
                   products->panels + (size_t)first * products->K, k + row - share->first);
  }
}

/// What a tile's units carry back begins as the gradients of the last states, null for zeros.
INLINE void
begin_tile(const Layer *layer, const Share *share, int first, global const float *grad_h_n,
           global const float *grad_c_n, global float *dh, global float *dc) {
  const int H = layer->H, end = min(first + COLUMNS, H);
  for (int row = share->first; row < share->end; ++row) {
    const size_t n = sequence_of(share, row);
    for (int unit = first; unit < end; unit += WIDTH) {
      const size_t at = n * H + unit;
      const int count = end - unit;
      if (dh) {
        store_lanes(grad_h_n ? load_lanes(grad_h_n + at, count) : (REAL)(0.0f), dh + at, count);
      }
      EACH_MEMORY(k) {
        const size_t place = (n * MEMORIES + k) * H + unit;
        store_lanes(grad_c_n ? load_lanes(grad_c_n + place, count) : (REAL)(0.0f), dc + place,
                    count);
      }
    }
  }
}

/// No gradient for a tile of a sequence at a step that it does not have.
INLINE void clear_gates(const Layer *layer, int t, int n, int first) {
  const int H = layer->H, end = min(first + COLUMNS, H);
  global float *row = layer->gates + gates_place(layer, t, n);
  for (int slot = 0; slot < SLOTS; ++slot) {
    for (int unit = first; unit < end; ++unit) row[slot * H + unit] = 0.0f;
  }
}

/// No gradient for COLUMNS inputs of a sequence at a step that it does not have.
INLINE void clear_inputs(const Layer *layer, const Products *products, int t, int n, int first) {
  const int C = products->C;
  global float *row = products->grad_x + ((size_t)t * layer->N + n) * C;
  for (int column = first; column < min(first + COLUMNS, C); ++column) row[column] = 0.0f;
}

/// The first row of a share of all its sequences' steps.
INLINE int first_step_row(const Share *share, const Layer *layer) {
  if (!layer->lengths) return share->first * layer->T;
  int k = 0;
  for (int row = 0; row < share->first; ++row) {
    k += min(layer->lengths[share->order[row]], layer->T);
  }
  return k;
}

/// What a work-item does of sequence_backward, with copies of its own of what it is given.
OUTLINE void walk_backward(const Layer *given_layer, const Products *given_products,
                           const Share *given_share, global const float *grad_y,
                           global const float *grad_h_n, global const float *grad_c_n,
                           global float *dh, global float *dc, global float *grad_h_0) {
  const Layer layer = *given_layer;
  const Products products = *given_products;
  Share share = *given_share;
  const int T = layer.T, step_base = share.step;
  int last = share.first, k = first_step_row(&share, &layer);
  for (int s = 0; s < T + (grad_h_0 || products.grad_x ? 1 : 0); ++s) {
    const int t = layer.reverse ? s : T - 1 - s, t_after = layer.reverse ? t - 1 : t + 1;
    const int last_after = last;
    last = s < T ? active_end(&share, &layer, t, last) : share.end;
    while (take_tiles(&share, (int)((uint)step_base + s + 1))) {
      for (int tile = share.first_tile; tile < share.end_tile && (s < T || grad_h_0); ++tile) {
        const int unit = tile * COLUMNS;
        if (s == 0) begin_tile(&layer, &share, unit, grad_h_n, grad_c_n, dh, dc);
        for (int row = share.first; row < last;) {
          const int rows = next_rows(last - row);
          backward_tile(rows, &layer, &share, &products, t, row, k + row - share.first, unit,
                        grad_y, grad_h_n, dh, dc, grad_h_0);
          row += rows;
        }
        for (int row = last; row < share.end; ++row) clear_gates(&layer, t, share.order[row], unit);
      }
      const int inputs_end = part_begin(&share, panel_count(products.C), share.taken + 1);
      for (int i = part_begin(&share, panel_count(products.C), share.taken); i < inputs_end; ++i) {
        const int input = i * COLUMNS;
        if (s < T) pack_inputs(&layer, &share, &products, t, last, k, input);
        if (s == 0 || !products.grad_x) continue;
        for (int row = share.first; row < last_after;) {
          const int rows = next_rows(last_after - row);
          input_tile(rows, &layer, &share, &products, t_after, row, input);
          row += rows;
        }
        for (int row = last_after; row < share.end; ++row) {
          clear_inputs(&layer, &products, t_after, share.order[row], input);
        }
      }
    }
    k += last - share.first;
  }
}

/// All steps backward. `weights` is weight_hh [G H, H] packed by pack_panels, or the diagonal
/// itself; `gates` holds what the forward pass kept and receives the gradients of the sums; `dc`
/// [N, M, H] ends as the gradient of c_0. Where the state has a way back beside the products (a
/// direct path, lengths or zoneout) `dh` [N, H] carries it; elsewhere it is null. `weights_ih` is
/// packed like `weights`, and null like `grad_x` where the gradients of the inputs are not made
/// here.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
sequence_backward(LAYER_PARAMETERS, global const float *grad_y, global const float *grad_h_n,
                  global const float *grad_c_n, global float *dh, global float *dc,
                  global float *grad_h_0, global const float *x, int C,
                  global const Packed *weights_ih, global float *grad_x, global float *tiles,
                  global float *panels, global const int *order, volatile global int *sync,
                  int step_base, int polls) {
  const Layer layer = LAYER;
  const Products products = {x, weights_ih, grad_x, tiles, panels, C, padded_depth(T * N)};
  Share share;
  find_share(&share, COLUMNS, N, H, order, sync, step_base, polls);
  walk_backward(&layer, &products, &share, grad_y + y_offset, grad_h_n, grad_c_n, dh, dc, grad_h_0);
}
