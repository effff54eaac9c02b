// Strategy "sequence", backward: one launch computes all steps against the layer's direction.
//
// Slices of the batch and splits of the hidden units as in sequence.cl. At each step and for each
// tile of COLUMNS hidden units a work-item does
//
//   the recurrent product    the gradient of h from the gates' gradients of the step after
//   the cell update          from the gradient of h to those of the gates, which replace what the
//                            forward pass kept, and those of the states beside h
//
// The products of all steps that make the gradients of weights (weight_gradients.cl) read the
// gates' gradients, the inputs and the states in tiles and panels. These are written here, while
// the values are in the caches. The gradients of the inputs may be made here too.
//
// Layouts as in layer.cl, P = H, and in gradient_tiles.cl, with the slots of the cell; there the
// steps that sequences have follow each other as place_of says. Global size: slices, or splits.

#include "gemm/gradient_tiles.cl"
#include "recurrent/layer.cl"
#include "recurrent/slices.cl"

/// The inputs x [T, N, C], and what the steps back make beside the gates' gradients.
///
/// `gradient_tiles` and `panels`, of depth K, receive the gradients, and x and h'. `weights_ih`,
/// packed, and `grad_x` are null where no gradients of the inputs are made here.
typedef struct {
  global const float *x;
  global const Packed *weights_ih;
  global float *grad_x, *gradient_tiles, *panels;
  int C, K, fetches;
} Products;

/// The gradients of y and of the last states, and those that go from step to step: see
/// sequence_backward.
typedef struct {
  global const float *y, *h_n, *c_n;
  global float *dh, *dc, *h_0;
} Gradients;

/// Some rows of a slice at step t, from `row` on, for COLUMNS units from `first` on; the next tile
/// begins `way` tiles further, 1 or -1. With t = -1 or T (is_initial) the gradient of h_0 is made.
typedef struct {
  const Layer *layer;
  const Slice *slice;
  const Products *products;
  const Gradients *gradients;
  int t, row, first, way;
} Tile;

INLINE int is_initial(const Tile *tile) { return tile->t < 0 || tile->t >= tile->layer->T; }

/// Where the rows of a tile begin: the gates' gradients of the step after, with an odd number of
/// rows those of the last one twice; the states beside h and the input of the recurrent product
/// before the step; null means zeros. And their places among the steps of all sequences.
typedef struct {
  global const float *after[ROWS], *cells[ROWS], *recurrent_input[ROWS];
  int k[ROWS];
} TileRows;

/// Asks for what the cell update of a row reads and writes, so that it comes during the product.
INLINE void fetch_row(const Tile *tile, int k, int n, global const float *cells) {
  const Layer *layer = tile->layer;
  const Products *products = tile->products;
  const int H = layer->H, t = tile->t;
  const size_t index = (size_t)t * layer->N + n;
  for (int unit = tile->first; unit < tile->first + COLUMNS; unit += WIDTH) {
    fetch(tile->gradients->y + y_row_offset(layer, t, n) + unit);
    EACH_MEMORY(i) {
      const size_t offset = memory_offset(layer, t, n) + (size_t)i * H + unit;
      fetch((ZONEOUT ? layer->cells_before_zoneout : layer->cells) + offset);
      if (cells) fetch(cells + (size_t)i * H + unit);
    }
    for (int slot = 0; slot < SLOTS; ++slot) {
      const int m = slot * padded_width(H) + unit;
      fetch(layer->gates + index * layer->gates_stride + slot * H + unit);
      fetch(products->gradient_tiles + tile_offset(m, k, products->K));
    }
  }
}

INLINE void find_rows(int rows, const Tile *tile, TileRows *result) {
  const Layer *layer = tile->layer;
  const int t = tile->t, t_after = layer->reverse ? t - 1 : t + 1;
#pragma clang loop vectorize(disable)
  for (int r = 0; r < rows; ++r) {
    const int n = sequence_of(tile->slice, tile->row + r);
    // A reverse layer comes to h_0 from the step that it computed first: the sequence's last one.
    const int is_own = is_initial(tile) && layer->reverse && layer->lengths;
    const int step = is_own ? max(layer->lengths[n], 1) - 1 : t_after;
    result->after[r] = layer->gates + gates_row_offset(layer, step, n);
    if (r + 1 < ROWS) result->after[r + 1] = result->after[r];
    if (is_initial(tile)) continue;
    result->k[r] = place_of(tile->slice, layer, t, n);
    result->cells[r] = HAS_MEMORY ? own_memory(layer, t, n, 1) : 0;
    result->recurrent_input[r] = own_recurrent_input(layer, t, n);
    if (!tile->products->fetches) continue;
    fetch_row(tile, result->k[r], n, result->cells[r]);
    if (!HAS_MATRIX || !result->recurrent_input[r]) continue;
    for (int v = 0; v < 2; ++v) fetch(result->recurrent_input[r] + tile->first + v * WIDTH);
  }
}

/// The recurrent product of a diagonal weight_hh.
INLINE void add_diagonal(int rows, REAL sums[ROWS][2], const Layer *layer,
                         global const float *const after[ROWS], int unit) {
  const int H = layer->H;
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
}

/// sums[r] += the gradients that reach the states from the step after: the product of the gates'
/// gradients `after` with weight_hh.
INLINE void add_recurrent_product(int rows, const Tile *tile, REAL sums[ROWS][2],
                                  global const float *const after[ROWS]) {
  const Layer *layer = tile->layer;
  const int H = layer->H, unit = tile->first, row = tile->row - tile->slice->first;
  const int called = call_rows(rows, multiplies_alone(layer->N, GATES * H));
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
    for (int r = 0; r < called; ++r) a[r] = after[r] + (size_t)RECURRENT_SLOT(gate) * H + begin;
    global const Packed *gate_panel = panel + (size_t)(gate * H + begin) * COLUMNS;
    const int depth = (gates - 1) * H + end - begin;
    row_products(called, sums, a, gate_panel, depth,
                 quarter_ahead(gate_panel, (long)tile->way * GATES * H * COLUMNS, depth, row));
  }
}

/// The gradient of h at the tile's step: that from outside of the recurrent product, of `count`
/// units from `unit` on, and the product.
INLINE REAL hidden_gradient(const Tile *tile, REAL product, int n, int unit, int count) {
  const Layer *layer = tile->layer;
  const Gradients *gradients = tile->gradients;
  const size_t state = (size_t)n * layer->H + unit;
  REAL sum = (REAL)(0.0f);
  if (gradients->dh) sum = load_lanes(gradients->dh + state, count);
  else if (tile->t == last_step(layer) && gradients->h_n)
    sum = load_lanes(gradients->h_n + state, count);
  if (!is_initial(tile)) {
    sum += load_lanes(gradients->y + y_row_offset(layer, tile->t, n) + unit, count);
  }
  if (layer->mask) return fma(product, load_lanes(layer->mask + state, count), sum);
  return sum + product;
}

/// The gradients of the states beside h that come from the step after, without what zoneout keeps.
INLINE void load_memory_gradients(REAL carried[MEMORY], REAL kept[MEMORY], const Layer *layer,
                                  global const float *dc, size_t index, int unit, int count) {
  load_memory(carried, dc, layer->H, unit, count);
  EACH_MEMORY(k) {
    kept[k] = (REAL)(0.0f);
    if (ZONEOUT) {
      kept[k] = kept_cell(layer, index, count) * carried[k];
      carried[k] -= kept[k];
    }
  }
}

/// The cell update backward of one row and WIDTH units from `unit` on: from the gradient of h to
/// those of the gates, in `slots`, and of the states before the step.
INLINE void update_gradients(const Tile *tile, REAL slots[SLOTS], REAL gradient,
                             global const float *cells, int n, int unit, const Peepholes *p) {
  const Layer *layer = tile->layer;
  const Gradients *gradients = tile->gradients;
  const int H = layer->H, count = H - unit, t = tile->t;
  const size_t state = (size_t)n * H + unit, index = (size_t)t * layer->N * H + state;
  REAL direct = (REAL)(0.0f);
  REAL h_before = (REAL)(0.0f), c_before[MEMORY], c[MEMORY], carried[MEMORY], kept[MEMORY];
  if (HAS_DIRECT_PATH) {
    global const float *h = own_hidden(layer, t, n);
    if (h) h_before = load_lanes(h + unit, count);
  }
  global float *dc = HAS_MEMORY ? gradients->dc + (size_t)n * MEMORIES * H : 0;
  if (HAS_MEMORY) {
    global const float *cells_after = ZONEOUT ? layer->cells_before_zoneout : layer->cells;
    load_memory(c_before, cells, H, unit, count);
    load_memory(c, cells_after + memory_offset(layer, t, n), H, unit, count);
    load_memory_gradients(carried, kept, layer, dc, index, unit, count);
  }
  const REAL kept_gradient = kept_hidden(layer, index, count) * gradient;
  cell_backward(slots, h_before, c_before, c, gradient - kept_gradient, carried, &direct, *p);
  EACH_MEMORY(k) store_lanes(carried[k] + kept[k], dc + (size_t)k * H + unit, count);
  if (gradients->dh) store_lanes(direct + kept_gradient, gradients->dh + state, count);
}

/// One step of a tile backward, or the gradient of h_0.
INLINE void backward_tile(int rows, const Tile *tile) {
  const Layer *layer = tile->layer;
  const Products *products = tile->products;
  const int H = layer->H, t = tile->t, first = tile->first;
  TileRows at;
  find_rows(rows, tile, &at);
  REAL sums[ROWS][2];
  for (int r = 0; r < ROWS; ++r) sums[r][0] = sums[r][1] = (REAL)(0.0f);
  if (RECURRENT && t != last_step(layer)) {
    if (DIAGONAL) add_diagonal(rows, sums, layer, at.after, first);
    else add_recurrent_product(rows, tile, sums, at.after);
  }
  for (int v = 0; v < 2; ++v) {
    const int unit = first + v * WIDTH, count = H - unit;
    if (count <= 0) break;
    Peepholes p;
    load_peepholes(&p, layer, unit, count);
    for (int r = 0; r < rows; ++r) {
      const int n = sequence_of(tile->slice, tile->row + r);
      const REAL gradient = hidden_gradient(tile, sums[r][v], n, unit, count);
      if (is_initial(tile)) {
        store_lanes(gradient, tile->gradients->h_0 + (size_t)n * H + unit, count);
        continue;
      }
      global float *gates = layer->gates + gates_row_offset(layer, t, n) + unit;
      REAL slots[SLOTS];
#pragma unroll
      for (int i = 0; i < SLOTS; ++i) slots[i] = load_lanes(gates + (size_t)i * H, count);
      update_gradients(tile, slots, gradient, at.cells[r], n, unit, &p);
#pragma unroll
      for (int i = 0; i < SLOTS; ++i) {
        store_lanes(slots[i], gates + (size_t)i * H, count);
        store_in_tiles(slots[i], products->gradient_tiles, i * padded_width(H) + unit, at.k[r],
                       products->K);
      }
    }
  }
  if (!HAS_MATRIX || is_initial(tile)) return;
  global float *panel =
      products->panels + (size_t)(panel_count(products->C) * COLUMNS + first) * products->K;
  for (int r = 0; r < rows; ++r) {
    global const float *row = at.recurrent_input[r];
    store_in_panel(row ? row + first : 0, H - first, panel, at.k[r]);
  }
}

/// The gradients of COLUMNS inputs from `first` on at step t, of the rows from `row` on, once those
/// of the step's gates are there.
INLINE void input_tile(int rows, const Layer *layer, const Slice *slice, const Products *products,
                       int t, int row, int first) {
  const int H = layer->H, C = products->C, called = call_rows(rows, 0);
  REAL sums[ROWS][2];
  global const float *gates[ROWS];
  global float *results[ROWS];
  for (int r = 0; r < called; ++r) {
    const size_t index = (size_t)t * layer->N + sequence_of(slice, row + min(r, rows - 1));
    gates[r] = layer->gates + index * layer->gates_stride;
    results[r] = products->grad_x + index * C + first;
    sums[r][0] = sums[r][1] = (REAL)(0.0f);
  }
  global const Packed *panel = products->weights_ih + (size_t)first * GATES * H;
  row_products(called, sums, gates, panel, GATES * H, panel);
  for (int r = 0; r < rows; ++r) {
    store_lanes(sums[r][0], results[r], C - first);
    store_lanes(sums[r][1], results[r] + WIDTH, C - first - WIDTH);
  }
}

/// Packs the inputs of a step, COLUMNS of them from `first` on, up to the slice's row `end`.
INLINE void pack_inputs(const Layer *layer, const Slice *slice, const Products *products, int t,
                        int end, int first) {
  const int C = products->C;
  for (int row = slice->first; row < end; ++row) {
    const int n = sequence_of(slice, row);
    store_in_panel(products->x + ((size_t)t * layer->N + n) * C + first, C - first,
                   products->panels + (size_t)first * products->K, place_of(slice, layer, t, n));
  }
}

/// Before the first step backward: dh and dc of a tile begin as the gradients of the last states.
INLINE void
begin_tile(const Layer *layer, const Slice *slice, const Gradients *gradients, int first) {
  const int H = layer->H, end = min(first + COLUMNS, H);
  for (int row = slice->first; row < slice->end; ++row) {
    const size_t n = sequence_of(slice, row);
    for (int unit = first; unit < end; unit += WIDTH) {
      const size_t at = n * H + unit;
      const int count = end - unit;
      if (gradients->dh) {
        store_lanes(gradients->h_n ? load_lanes(gradients->h_n + at, count) : (REAL)(0.0f),
                    gradients->dh + at, count);
      }
      EACH_MEMORY(k) {
        const size_t place = (n * MEMORIES + k) * H + unit;
        store_lanes(gradients->c_n ? load_lanes(gradients->c_n + place, count) : (REAL)(0.0f),
                    gradients->dc + place, count);
      }
    }
  }
}

/// No gradient for a tile of a sequence at a step that it does not have.
INLINE void clear_gates(const Layer *layer, int t, int n, int first) {
  const int H = layer->H, end = min(first + COLUMNS, H);
  global float *row = layer->gates + gates_row_offset(layer, t, n);
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

/// The hidden units of a work-item at the s-th step backward, for the rows up to `end`.
INLINE void backward_units(const Layer *layer, const Slice *slice, const Products *products,
                           const Gradients *gradients, int s, int end) {
  const int t = layer->reverse ? s : layer->T - 1 - s;
  const int alone = multiplies_alone(layer->N, GATES * layer->H);
  const int way = way_of(s);
  for (int i = 0; i < slice->end_tile - slice->first_tile; ++i) {
    const int first = tile_on(way, slice->first_tile, slice->end_tile, i) * COLUMNS;
    if (s == 0) begin_tile(layer, slice, gradients, first);
    for (int row = slice->first; row < end;) {
      const int rows = next_rows(end - row, alone);
      const Tile tile = {layer, slice, products, gradients, t, row, first, way};
      backward_tile(rows, &tile);
      row += rows;
    }
    for (int row = end; row < slice->end; ++row) clear_gates(layer, t, slice->order[row], first);
  }
}

/// The inputs of a work-item at the s-th step backward: packs those of the step, for the rows up to
/// `end`, and makes the gradients of those of the step after, for the rows up to `end_after`.
INLINE void backward_inputs(const Layer *layer, const Slice *slice, const Products *products, int s,
                            int end, int end_after) {
  const int t = layer->reverse ? s : layer->T - 1 - s, t_after = layer->reverse ? t - 1 : t + 1;
  const int panels = panel_count(products->C), split = slice->claimed_split;
  const int begin = split_begin(slice, panels, split);
  const int last = split_begin(slice, panels, split + 1);
  for (int i = 0; i < last - begin; ++i) {
    const int input = tile_on(way_of(s), begin, last, i) * COLUMNS;
    if (s < layer->T) pack_inputs(layer, slice, products, t, end, input);
    if (s == 0 || !products->grad_x) continue;
    for (int row = slice->first; row < end_after;) {
      const int rows = next_rows(end_after - row, 0);
      input_tile(rows, layer, slice, products, t_after, row, input);
      row += rows;
    }
    for (int row = end_after; row < slice->end; ++row) {
      clear_inputs(layer, products, t_after, slice->order[row], input);
    }
  }
}

/// What a work-item does of sequence_backward. It copies its arguments, so that compilers can keep
/// their members in registers.
OUTLINE void backward_steps(const Layer *given_layer, const Products *given_products,
                            const Gradients *given_gradients, const Slice *given_slice) {
  const Layer layer = *given_layer;
  const Products products = *given_products;
  const Gradients gradients = *given_gradients;
  Slice slice = *given_slice;
  const int T = layer.T, step_base = slice.step;
  int end = slice.first;
  for (int s = 0; s < T + (gradients.h_0 || products.grad_x ? 1 : 0); ++s) {
    const int t = layer.reverse ? s : T - 1 - s, end_after = end;
    end = s < T ? active_end(&slice, &layer, t, end) : slice.end;
    while (claim_tiles(&slice, (int)((uint)step_base + s + 1))) {
      if (s < T || gradients.h_0) backward_units(&layer, &slice, &products, &gradients, s, end);
      backward_inputs(&layer, &slice, &products, s, end, end_after);
    }
  }
}

/// All steps backward. `weights` is weight_hh [G H, H] packed by pack_panels, or the diagonal
/// itself; `gates` holds what the forward pass kept and receives the gradients of the sums; `dc`
/// [N, M, H] ends as the gradients of c_0. Where a gradient of the state does not pass through the
/// products (a direct path, lengths or zoneout) `dh` [N, H] carries it; elsewhere it is null.
/// `weights_ih` is packed like `weights`, and null like `grad_x` where the gradients of the inputs
/// are not made here.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
sequence_backward(LAYER_PARAMETERS, global const float *grad_y, global const float *grad_h_n,
                  global const float *grad_c_n, global float *dh, global float *dc,
                  global float *grad_h_0, global const float *x, int C,
                  global const Packed *weights_ih, global float *grad_x,
                  global float *gradient_tiles, global float *panels, global const int *order,
                  volatile global int *sync, int step_base, int polls, int fetches) {
  const Layer layer = LAYER;
  const Products products = {x, weights_ih,          grad_x, gradient_tiles, panels,
                             C, padded_depth(T * N), fetches};
  const Gradients gradients = {grad_y + y_offset, grad_h_n, grad_c_n, dh, dc, grad_h_0};
  Slice slice;
  find_slice(&slice, COLUMNS, N, H, order, sync, step_base, polls);
  backward_steps(&layer, &products, &gradients, &slice);
}
