// Strategy "sequence": one launch walks all steps; a work-item owns a slice of the batch.
// lint: vector.cl activation.cl lstm.cl states.cl layer.cl shares.cl panel.cl; -D WIDTH=16 -D ACT_0=0 -D ACT_1=0 -D ACT_2=1 -D ACT_3=0 -D ACT_4=1 -D ALPHA_0=1.0f -D BETA_0=0.0f -D ALPHA_1=1.0f -D BETA_1=0.0f -D ALPHA_2=1.0f -D BETA_2=0.0f -D ALPHA_3=1.0f -D BETA_3=0.0f -D ALPHA_4=1.0f -D BETA_4=0.0f
// lint: vector.cl activation.cl gru.cl states.cl layer.cl shares.cl panel.cl; -D WIDTH=16 -D ACT_0=0 -D ACT_1=0 -D ACT_2=1 -D ALPHA_0=1.0f -D BETA_0=0.0f -D ALPHA_1=1.0f -D BETA_1=0.0f -D ALPHA_2=1.0f -D BETA_2=0.0f -D ALPHA_3=1.0f -D BETA_3=0.0f -D ALPHA_4=1.0f -D BETA_4=0.0f
// lint: vector.cl activation.cl rnn.cl states.cl layer.cl shares.cl panel.cl; -D WIDTH=16 -D DIAGONAL=1 -D ACT_0=1 -D ALPHA_0=1.0f -D BETA_0=0.0f -D ALPHA_1=1.0f -D BETA_1=0.0f -D ALPHA_2=1.0f -D BETA_2=0.0f -D ALPHA_3=1.0f -D BETA_3=0.0f -D ALPHA_4=1.0f -D BETA_4=0.0f
//
// Where there are rows enough, a work-item owns a slice of the batch, and nothing is shared: no
// step waits for another slice. Each step multiplies the slice's states with packed weights that
// stay in the core's cache, and applies the cell as soon as the gates of a few units are summed.
// The product of the inputs may be done on the way, or by parts before the first step.
//
// Where there are few rows, a work-item owns a part of the units instead, for the whole batch, and
// waits after each step for the others. Both are said in shares.cl.
//
// With lengths a slice holds its sequences longest first, so that a step computes only those that
// have it, in any order of the batch.
//
//   pack_gates         weight_ih or weight_hh into panels in which the gates of the same units
//                      stand together.
//   sequence_forward   all steps in the layer's direction.
//   sequence_backward  all steps against it.
//
// Layouts as in layer.cl, P = H. Global size: slices, or parts.
//
// Assumes vector.cl, activation.cl, a cell, states.cl, layer.cl, shares.cl and panel.cl before it.

/// A tile covers so many vectors of units that their gates fill whole panels.
#define UNIT_VECTORS (GATES % 2 ? 2 : 1)
#define TILE_UNITS (UNIT_VECTORS * WIDTH)
#define TILE_VECTORS (UNIT_VECTORS * GATES)
#define TILE_PANELS (TILE_VECTORS / 2)
/// The gates whose recurrent product stands in their own slot, and leads the rows of weight_hh.
#define PLAIN_GATES (RECURRENT_SLOT(GATES - 1) == GATES - 1 ? GATES : GATES - 1)
#define PLAIN_VECTORS (UNIT_VECTORS * PLAIN_GATES)
/// The gate of a tile's vector, and the vector of units that it is for; and back. The gate that is
/// not plain comes last, in a panel of its own.
#define GATE_OF(v) ((v) < PLAIN_VECTORS ? (v) % PLAIN_GATES : PLAIN_GATES)
#define UNITS_OF(v) ((v) < PLAIN_VECTORS ? (v) / PLAIN_GATES : (v)-PLAIN_VECTORS)
#define VECTOR_OF(gate, u) ((gate) < PLAIN_GATES ? (u)*PLAIN_GATES + (gate) : PLAIN_VECTORS + (u))

/// Packs a weight [G H, K] for the forward products. Global size: tiles of TILE_UNITS units.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
pack_gates(global const float *weight, global float *panels, int H, int K) {
  const int first = get_global_id(0) * TILE_UNITS;
  panels += (size_t)get_global_id(0) * TILE_PANELS * K * COLUMNS;
  for (int k0 = 0; k0 < K; k0 += PACK_DEPTH) {
    const int end = min(k0 + PACK_DEPTH, K);
    for (int j = 0; j < TILE_PANELS * COLUMNS; ++j) {
      const int v = j / WIDTH, unit = first + UNITS_OF(v) * WIDTH + j % WIDTH;
      global const float *row = weight + ((size_t)GATE_OF(v) * H + unit) * K;
      global float *column = panels + (size_t)(j / COLUMNS) * K * COLUMNS + j % COLUMNS;
      for (int k = k0; k < end; ++k) column[k * COLUMNS] = unit < H ? row[k] : 0.0f;
    }
  }
}

/// The state of sequence n before its step t; with `kept` 0 `states` has one step, the last. Null
/// stands for zeros.
INLINE global const float *before(global const float *states, global const float *initial,
                                  const Layer *layer, int t, int n, int kept) {
  const int T = layer->T, N = layer->N, H = layer->H, reverse = layer->reverse;
  if (kept || is_first(layer->lengths, t, n, T, reverse)) {
    return state_before(states, initial, layer->lengths, t, n, T, N, H, reverse);
  }
  return states + (size_t)n * H;
}

/// The inputs, where their product is done with that of the states: x [T, N, C], weight_ih as
/// pack_gates leaves it, and up to two biases; with x null `gates` begins as x W^T + b.
typedef struct {
  global const float *x, *weights, *bias, *bias2;
  int C;
} Inputs;

/// Step t of the rows from `row` on, for the units of one tile. With `is_before` the product of the
/// inputs alone, of rows of all steps, into `gates`.
INLINE void forward_tile(int rows, const Layer *layer, const Inputs *inputs, const Share *share,
                         int t, int row, int first, int is_before) {
  const int N = layer->N, H = layer->H, C = inputs->C;
  // The last is the input's part of the gate that is not plain.
  REAL sums[TILE_PANELS + 1][ROWS][2];
  global float *gates[ROWS];
  global const float *x[ROWS], *factors[ROWS];
  const int has_factors =
      !is_before && (t != first_step(layer) || (layer->mask ? layer->masked_0 : layer->h_0));
#pragma clang loop vectorize(disable)
  for (int r = 0; r < rows; ++r) {
    const int n = is_before ? row + r : sequence_of(share, row + r);
    gates[r] = layer->gates + ((size_t)t * N + n) * SLOTS * H;
    x[r] = inputs->x ? inputs->x + ((size_t)t * N + n) * C : 0;
    factors[r] = has_factors ? (layer->mask ? before(layer->masked, layer->masked_0, layer, t, n, 1)
                                            : before(layer->y, layer->h_0, layer, t, n, 1))
                             : 0;
  }
  for (int v = 0; v < TILE_VECTORS; ++v) {
    const int gate = GATE_OF(v), unit = first + UNITS_OF(v) * WIDTH, count = H - unit;
    const int slot = gate < PLAIN_GATES ? v : v + 2;
    REAL begin = (REAL)(0.0f), bias = (REAL)(0.0f);
    if (count > 0 && inputs->x) {
      if (inputs->bias) begin = load_lanes(inputs->bias + gate * H + unit, count);
      if (inputs->bias2) begin += load_lanes(inputs->bias2 + gate * H + unit, count);
    }
    if (count > 0 && layer->bias_hh && !is_before) {
      bias = load_lanes(layer->bias_hh + gate * H + unit, count);
    }
    for (int r = 0; r < rows; ++r) {
      REAL sum = begin;
      if (count > 0 && !inputs->x) sum = load_lanes(gates[r] + gate * H + unit, count);
      if (gate < PLAIN_GATES) sum += bias;
      else sums[v / 2][r][v % 2] = bias;
      sums[slot / 2][r][slot % 2] = sum;
      if (DIAGONAL && factors[r] && count > 0) {
        sums[v / 2][r][v % 2] = fma(load_lanes(layer->weights + gate * H + unit, count),
                                    load_lanes(factors[r] + unit, count), sums[v / 2][r][v % 2]);
      }
    }
  }
  const int tile = first / TILE_UNITS;
  // The products of the inputs, then those of the states.
  for (int part = inputs->x ? 0 : 1; part < ((DIAGONAL ? 0 : has_factors) ? 2 : 1); ++part) {
    int begin = 0, end = C, K = C;
    global const float *panels = inputs->weights, *private *a = x;
    if (part) {
      begin = block_range(first, min(TILE_UNITS, H - first), layer->block_units,
                          layer->block_states, H, &end);
      K = H;
      panels = layer->weights;
      a = factors;
      for (int r = 0; r < rows; ++r) factors[r] += begin;
    }
    panels += (size_t)tile * TILE_PANELS * K * COLUMNS + begin * COLUMNS;
    for (int q = 0; q < TILE_PANELS; ++q) {
      const int to = !part && 2 * q >= PLAIN_VECTORS ? q + 1 : q;
      row_products(rows, sums[to], a, 1, panels + (size_t)q * K * COLUMNS, end - begin);
    }
  }
  for (int v = 0; is_before && v < TILE_VECTORS; ++v) {
    const int gate = GATE_OF(v), unit = first + UNITS_OF(v) * WIDTH, count = H - unit;
    const int slot = gate < PLAIN_GATES ? v : v + 2;
    for (int r = 0; r < rows && count > 0; ++r) {
      store_lanes(sums[slot / 2][r][slot % 2], gates[r] + gate * H + unit, count);
    }
  }
  for (int u = 0; !is_before && u < UNIT_VECTORS; ++u) {
    const int unit = first + u * WIDTH, count = H - unit;
    if (count <= 0) break;
    Peepholes p;
    load_peepholes(&p, layer, unit, count);
    // The gates of all rows before the output of any: each result waits for a long chain of others,
    // and only rows do not wait for each other.
    REAL slots[ROWS][SLOTS], c[ROWS];
    for (int r = 0; r < rows; ++r) {
      const int n = sequence_of(share, row + r);
      const size_t state = (size_t)n * H + unit, index = (size_t)t * N * H + state;
      const size_t cell = layer->training ? index : state;
      c[r] = (REAL)(0.0f);
      if (HAS_CELL_STATE) {
        global const float *c_before =
            before(layer->cells, layer->c_0, layer, t, n, layer->training);
        if (c_before) c[r] = load_lanes(c_before + unit, count);
      }
#pragma unroll
      for (int gate = 0; gate < PLAIN_GATES; ++gate) {
        const int v = VECTOR_OF(gate, u);
        slots[r][gate] = sums[v / 2][r][v % 2];
      }
      if (PLAIN_GATES < GATES) {
        const int v = VECTOR_OF(GATES - 1, u);
        slots[r][RECURRENT_SLOT(GATES - 1)] = sums[v / 2][r][v % 2];
        slots[r][GATES - 1] = sums[v / 2 + 1][r][v % 2];
      }
      const REAL c_before = c[r];
      cell_gates(slots[r], &c[r], p);
      if (HAS_CELL_STATE) {
        REAL kept = c[r];
        if (ZONEOUT) {
          if (layer->fresh) store_lanes(kept, layer->fresh + cell, count);
          kept = kept_state(kept_cell(layer, index, count), c_before, kept);
        }
        store_lanes(kept, layer->cells + cell, count);
      }
    }
    for (int r = 0; r < rows; ++r) {
      const int n = sequence_of(share, row + r);
      const size_t state = (size_t)n * H + unit, index = (size_t)t * N * H + state;
      global const float *h_before = before(layer->y, layer->h_0, layer, t, n, 1);
      REAL h = h_before ? load_lanes(h_before + unit, count) : (REAL)(0.0f);
      h = kept_state(kept_hidden(layer, index, count), h, cell_output(slots[r], h, c[r]));
      if (layer->training) {
        for (int slot = 0; slot < SLOTS; ++slot) {
          store_lanes(slots[r][slot], gates[r] + (size_t)slot * H + unit, count);
        }
      }
      store_hidden(layer, h, t, n, unit, count);
    }
  }
}

/// The rows that a share takes through its tiles together: what of them is read again for each tile
/// stays in the first caches.
#define ROWS_TOGETHER 64

/// All steps forward. `gates` receives what the backward pass needs where `training` is 1; where x
/// is null it holds x W^T + b in its first GATES slots. With `inputs_before` that is computed
/// before the first step, else with each. `weights` is packed by pack_gates, or the diagonal
/// itself. A reverse layer with lengths needs h_0.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
sequence_forward(LAYER_PARAMETERS, global float *h_n, global float *c_n, global const float *x,
                 global const float *weights_ih, global const float *bias_ih,
                 global const float *bias_ih2, int C, int inputs_before, global const int *order,
                 volatile global int *sync, int step_base, int polls) {
  const Layer layer = LAYER;
  Inputs inputs = {x, weights_ih, bias_ih, bias_ih2, C};
  Share share;
  find_share(&share, TILE_UNITS, N, H, order, sync, step_base, polls);
  int last = share.first;
  for (int s = inputs_before ? -1 : 0; s < T; ++s) {
    const int is_before = s < 0, t = is_before ? 0 : reverse ? T - 1 - s : s;
    last = is_before ? T * N : active_end(&share, &layer, t, s ? last : share.first);
    while (take_tiles(&share, (int)((uint)step_base + s + inputs_before + 1))) {
      for (int begin = share.first; begin < last; begin += ROWS_TOGETHER) {
        const int end = min(begin + ROWS_TOGETHER, last);
        for (int tile = share.first_tile; tile < share.end_tile; ++tile) {
          for (int row = begin; row < end;) {
            const int rows = next_rows(end - row);
            forward_tile(rows, &layer, &inputs, &share, t, row, tile * TILE_UNITS, is_before);
            row += rows;
          }
        }
      }
    }
    if (is_before) inputs.x = 0;
  }
  if (sync && get_global_id(0) > 0) return;
  for (int row = share.first; row < share.end; ++row) {
    finish_sequence(&layer, sequence_of(&share, row), h_n, c_n);
  }
}

/// sums[r] += the gradients that reach the states from the step after, whose gates' gradients are
/// `after`: the product with weight_hh, for COLUMNS units from `unit` on.
INLINE void add_gradients_from(int rows, REAL sums[ROWS][2], const Layer *layer,
                               global const float *after[ROWS], int unit) {
  const int H = layer->H;
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
  global const float *panel = layer->weights + (size_t)(unit / COLUMNS) * GATES * H * COLUMNS;
  // The gates whose slots and rows follow each other are one product.
  const int is_whole = layer->block_units >= H;
  int end, gates;
  const int begin =
      block_range(unit, min(COLUMNS, H - unit), layer->block_states, layer->block_units, H, &end);
  for (int gate = 0; gate < GATES; gate += gates) {
    gates = is_whole && gate < PLAIN_GATES ? PLAIN_GATES : 1;
    global const float *a[ROWS];
    for (int r = 0; r < rows; ++r) a[r] = after[r] + (size_t)RECURRENT_SLOT(gate) * H + begin;
    row_products(rows, sums, a, 1, panel + (size_t)(gate * H + begin) * COLUMNS,
                 (gates - 1) * H + end - begin);
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
    sum += load_lanes(grad_y + (size_t)t * layer->N * layer->H + state, count);
  }
  return sum;
}

/// Step t back of the rows from `row` on, for COLUMNS units, or with t outside the sequence the
/// gradient of h_0 into `grad_h_0`.
INLINE void backward_tile(int rows, const Layer *layer, const Share *share, int t, int row,
                          int first, global const float *grad_y, global const float *grad_h_n,
                          global float *dh, global float *dc, global float *grad_h_0) {
  const int T = layer->T, N = layer->N, H = layer->H;
  const int t_after = layer->reverse ? t - 1 : t + 1, is_initial = t < 0 || t >= T;
  REAL sums[ROWS][2];
  global const float *after[ROWS];
#pragma clang loop vectorize(disable)
  for (int r = 0; r < rows; ++r) {
    const int n = sequence_of(share, row + r);
    // A reverse layer comes to each sequence's h_0 from the sequence's own last step.
    const int own = is_initial && layer->reverse && layer->lengths;
    const int step = own ? max(layer->lengths[n], 1) - 1 : t_after;
    after[r] = layer->gates + ((size_t)step * N + n) * SLOTS * H;
    for (int v = 0; v < 2; ++v) {
      const int unit = first + v * WIDTH, count = H - unit;
      sums[r][v] = count > 0 && !layer->mask
                       ? gradient_at(layer, t, n, unit, count, grad_y, grad_h_n, dh)
                       : (REAL)(0.0f);
    }
  }
  if (t != last_step(layer)) add_gradients_from(rows, sums, layer, after, first);
  for (int v = 0; v < 2; ++v) {
    const int unit = first + v * WIDTH, count = H - unit;
    if (count <= 0) break;
    Peepholes p;
    load_peepholes(&p, layer, unit, count);
    for (int r = 0; r < rows; ++r) {
      const int n = sequence_of(share, row + r);
      const size_t state = (size_t)n * H + unit, index = (size_t)t * N * H + state;
      REAL gradient = sums[r][v];
      if (layer->mask) {
        gradient = fma(gradient, load_lanes(layer->mask + state, count),
                       gradient_at(layer, t, n, unit, count, grad_y, grad_h_n, dh));
      }
      if (is_initial) {
        store_lanes(gradient, grad_h_0 + state, count);
        continue;
      }
      global float *gates = layer->gates + ((size_t)t * N + n) * SLOTS * H + unit;
      REAL slots[SLOTS], direct = (REAL)(0.0f);
      REAL h_before = (REAL)(0.0f), c_before = (REAL)(0.0f), c = (REAL)(0.0f);
      REAL carried = (REAL)(0.0f), kept = (REAL)(0.0f);
      if (HAS_DIRECT_PATH) {
        global const float *h = before(layer->y, layer->h_0, layer, t, n, 1);
        if (h) h_before = load_lanes(h + unit, count);
      }
      if (HAS_CELL_STATE) {
        global const float *cell = before(layer->cells, layer->c_0, layer, t, n, 1);
        if (cell) c_before = load_lanes(cell + unit, count);
        c = load_lanes((ZONEOUT ? layer->fresh : layer->cells) + index, count);
        carried = load_lanes(dc + state, count);
        if (ZONEOUT) {
          kept = kept_cell(layer, index, count) * carried;
          carried -= kept;
        }
      }
      for (int slot = 0; slot < SLOTS; ++slot) {
        slots[slot] = load_lanes(gates + (size_t)slot * H, count);
      }
      const REAL kept_gradient = kept_hidden(layer, index, count) * gradient;
      cell_backward(slots, h_before, c_before, c, gradient - kept_gradient, &carried, &direct, p);
      if (HAS_CELL_STATE) store_lanes(carried + kept, dc + state, count);
      if (dh) store_lanes(direct + kept_gradient, dh + state, count);
      for (int slot = 0; slot < SLOTS; ++slot) {
        store_lanes(slots[slot], gates + (size_t)slot * H, count);
      }
    }
  }
}

/// No gradient for a tile of a sequence at a step that it does not have.
INLINE void clear_gates(const Layer *layer, int t, int n, int first) {
  const int H = layer->H, end = min(first + COLUMNS, H);
  global float *row = layer->gates + ((size_t)t * layer->N + n) * SLOTS * H;
  for (int slot = 0; slot < SLOTS; ++slot) {
    for (int unit = first; unit < end; ++unit) row[slot * H + unit] = 0.0f;
  }
}

/// All steps backward. `weights` is weight_hh [G H, H] packed by pack_panels, or the diagonal
/// itself; `gates` holds what the forward pass kept and receives the gradients of the sums; `dc`
/// [N, H] begins as the gradient of c_n and ends as that of c_0. Where the state has a way back
/// beside the products (a direct path, lengths or zoneout) `dh` [N, H] carries it, and begins as
/// the gradient of h_n; elsewhere it is null and `grad_h_n` is read.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
sequence_backward(LAYER_PARAMETERS, global const float *grad_y, global const float *grad_h_n,
                  global float *dh, global float *dc, global float *grad_h_0,
                  global const int *order, volatile global int *sync, int step_base, int polls) {
  const Layer layer = LAYER;
  Share share;
  find_share(&share, COLUMNS, N, H, order, sync, step_base, polls);
  int last = share.first;
  for (int s = 0; s < T + (grad_h_0 ? 1 : 0); ++s) {
    const int t = reverse ? s : T - 1 - s;
    last = s < T ? active_end(&share, &layer, t, last) : share.end;
    while (take_tiles(&share, (int)((uint)step_base + s + 1))) {
      for (int tile = share.first_tile; tile < share.end_tile; ++tile) {
        const int unit = tile * COLUMNS;
        for (int row = share.first; row < last;) {
          const int rows = next_rows(last - row);
          backward_tile(rows, &layer, &share, t, row, unit, grad_y, grad_h_n, dh, dc, grad_h_0);
          row += rows;
        }
        for (int row = last; row < share.end; ++row) clear_gates(&layer, t, order[row], unit);
      }
    }
  }
}
