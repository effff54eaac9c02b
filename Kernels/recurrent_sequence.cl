// Strategy "sequence": one launch walks all steps; a work-item owns a slice of the batch.
// lint: vector.cl activation.cl lstm.cl states.cl panel.cl; -D WIDTH=16 -D ACT_0=0 -D ACT_1=0 -D ACT_2=1 -D ACT_3=0 -D ACT_4=1 -D ALPHA_0=1.0f -D BETA_0=0.0f -D ALPHA_1=1.0f -D BETA_1=0.0f -D ALPHA_2=1.0f -D BETA_2=0.0f -D ALPHA_3=1.0f -D BETA_3=0.0f -D ALPHA_4=1.0f -D BETA_4=0.0f
// lint: vector.cl activation.cl gru.cl states.cl panel.cl; -D WIDTH=16 -D ACT_0=0 -D ACT_1=0 -D ACT_2=1 -D ALPHA_0=1.0f -D BETA_0=0.0f -D ALPHA_1=1.0f -D BETA_1=0.0f -D ALPHA_2=1.0f -D BETA_2=0.0f -D ALPHA_3=1.0f -D BETA_3=0.0f -D ALPHA_4=1.0f -D BETA_4=0.0f
// lint: vector.cl activation.cl rnn.cl states.cl panel.cl; -D WIDTH=16 -D DIAGONAL=1 -D ACT_0=1 -D ALPHA_0=1.0f -D BETA_0=0.0f -D ALPHA_1=1.0f -D BETA_1=0.0f -D ALPHA_2=1.0f -D BETA_2=0.0f -D ALPHA_3=1.0f -D BETA_3=0.0f -D ALPHA_4=1.0f -D BETA_4=0.0f
//
// Nothing is shared between work-items, so that no step waits for another slice: the strategy of
// devices with few fast cores. Each step multiplies the slice's states with packed weights that
// stay in the core's cache, and applies the cell as soon as the gates of a few units are summed.
//
//   pack_gates         weight_hh into panels in which the gates of the same units stand together.
//   sequence_forward   all steps in the layer's direction.
//   sequence_backward  all steps against it.
//
// Layouts: gates [T, N, SLOTS, H], cells [T, N, H], y [T, N, H], states [N, H]. Global size:
// slices. Pointers that a cell or a call has no use for are null.
//
// Parameters:
//   DIAGONAL   1: weight_hh is [GATES, H], a factor for each unit, and nothing is packed.
//
// Assumes vector.cl, activation.cl, a cell, states.cl and panel.cl before it.

#ifndef DIAGONAL
#define DIAGONAL 0
#endif

/// A tile covers so many vectors of units that their gates fill whole panels.
#define UNIT_VECTORS (GATES % 2 ? 2 : 1)
#define TILE_UNITS (UNIT_VECTORS * WIDTH)
#define TILE_VECTORS (UNIT_VECTORS * GATES)
#define TILE_PANELS (TILE_VECTORS / 2)
/// The gates whose recurrent product stands in their own slot, and leads the rows of weight_hh.
#define PLAIN_GATES (RECURRENT_SLOT(GATES - 1) == GATES - 1 ? GATES : GATES - 1)

/// Packs weight_hh [G H, H] for the forward product. Vector v of a tile's panels holds gate v %
/// GATES of the tile's units from WIDTH (v / GATES) on. Global size: tiles of TILE_UNITS units.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
pack_gates(global const float *weight, global float *panels, int H) {
  const int first = get_global_id(0) * TILE_UNITS;
  panels += (size_t)get_global_id(0) * TILE_PANELS * H * COLUMNS;
  for (int k0 = 0; k0 < H; k0 += WIDTH) {
    const int end = min(k0 + WIDTH, H);
    for (int j = 0; j < TILE_PANELS * COLUMNS; ++j) {
      const int v = j / WIDTH, unit = first + v / GATES * WIDTH + j % WIDTH;
      global const float *row = weight + ((size_t)(v % GATES) * H + unit) * H;
      global float *column = panels + (size_t)(j / COLUMNS) * H * COLUMNS + j % COLUMNS;
      for (int k = k0; k < end; ++k) column[k * COLUMNS] = unit < H ? row[k] : 0.0f;
    }
  }
}

/// What all tiles of a launch share.
typedef struct {
  global const float *weights, *bias_hh, *h_0, *c_0, *peepholes[3];
  global const int *lengths;
  global float *gates, *cells, *y;
  int T, N, H, training, reverse;
} Layer;

/// The peepholes of `count` units from `unit` on.
INLINE void load_peepholes(Peepholes *p, const Layer *layer, int unit, int count) {
  p->input = p->forget = p->output = (REAL)(0.0f);
  if (layer->peepholes[0]) p->input = load_lanes(layer->peepholes[0] + unit, count);
  if (layer->peepholes[1]) p->forget = load_lanes(layer->peepholes[1] + unit, count);
  if (layer->peepholes[2]) p->output = load_lanes(layer->peepholes[2] + unit, count);
}

/// The row before step t of the sequences from n on, as the forward pass holds it: past its end a
/// sequence's state stands still in y and cells, so that all rows of a step lie together.
INLINE global const float *running_state(global const float *states, global const float *initial,
                                         const Layer *layer, int t, int n, int kept) {
  const int is_first = t == (layer->reverse ? layer->T - 1 : 0);
  if (is_first) return initial ? initial + (size_t)n * layer->H : 0;
  const int before = kept ? (layer->reverse ? t + 1 : t - 1) : 0;
  return states + ((size_t)before * layer->N + n) * layer->H;
}

/// Step t of `rows` sequences from n on, for the units of one tile.
INLINE void forward_tile(int rows, const Layer *layer, int t, int n, int first) {
  const int H = layer->H;
  REAL sums[TILE_PANELS][ROWS][2];
  global const float *h_before = running_state(layer->y, layer->h_0, layer, t, n, 1);
  global float *gates = layer->gates + ((size_t)t * layer->N + n) * SLOTS * H;
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < TILE_VECTORS; ++v) {
      const int gate = v % GATES, unit = first + v / GATES * WIDTH, count = H - unit;
      REAL sum = (REAL)(0.0f);
      if (count > 0 && gate < PLAIN_GATES) {
        sum = load_lanes(gates + ((size_t)r * SLOTS + gate) * H + unit, count);
      }
      if (count > 0 && layer->bias_hh) sum += load_lanes(layer->bias_hh + gate * H + unit, count);
      if (DIAGONAL && h_before && count > 0) {
        sum = fma(load_lanes(layer->weights + gate * H + unit, count),
                  load_lanes(h_before + (size_t)r * H + unit, count), sum);
      }
      sums[v / 2][r][v % 2] = sum;
    }
  }
  if (h_before && !DIAGONAL) {
    global const float *panels =
        layer->weights + (size_t)(first / TILE_UNITS) * TILE_PANELS * H * COLUMNS;
    for (int q = 0; q < TILE_PANELS; ++q) {
      panel_products(rows, sums[q], h_before, H, 1, panels + (size_t)q * H * COLUMNS, H);
    }
  }
  for (int u = 0; u < UNIT_VECTORS; ++u) {
    const int unit = first + u * WIDTH, count = H - unit;
    if (count <= 0) break;
    Peepholes p;
    load_peepholes(&p, layer, unit, count);
    for (int r = 0; r < rows; ++r) {
      global float *row = gates + (size_t)r * SLOTS * H + unit;
      const size_t state = (size_t)(n + r) * H + unit, step = (size_t)layer->N * H;
      REAL h = h_before ? load_lanes(h_before + (size_t)r * H + unit, count) : (REAL)(0.0f);
      REAL c = (REAL)(0.0f);
      if (HAS_CELL_STATE) {
        global const float *before =
            running_state(layer->cells, layer->c_0, layer, t, n + r, layer->training);
        if (before) c = load_lanes(before + unit, count);
      }
      if (is_active(layer->lengths, t, n + r)) {
        REAL slots[SLOTS];
        for (int gate = 0; gate < PLAIN_GATES; ++gate) {
          const int v = u * GATES + gate;
          slots[gate] = sums[v / 2][r][v % 2];
        }
        if (PLAIN_GATES < GATES) {
          const int v = u * GATES + GATES - 1;
          slots[RECURRENT_SLOT(GATES - 1)] = sums[v / 2][r][v % 2];
          slots[GATES - 1] = load_lanes(row + (size_t)(GATES - 1) * H, count);
        }
        h = cell_forward(slots, h, &c, p);
        if (layer->training) {
          for (int slot = 0; slot < SLOTS; ++slot) {
            store_lanes(slots[slot], row + (size_t)slot * H, count);
          }
        }
      }
      store_lanes(h, layer->y + t * step + state, count);
      if (HAS_CELL_STATE) {
        store_lanes(c, layer->cells + (layer->training ? t * step : 0) + state, count);
      }
    }
  }
}

/// All steps forward. `gates` holds x W^T + b in its first GATES slots and, where `training` is 1,
/// receives what the backward pass needs; `cells` receives every cell state, or with `training` 0
/// is [N, H] and holds the last one. `weights` is packed by pack_gates, or the diagonal itself;
/// `bias_hh` is given where the cell keeps the recurrent product apart.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
sequence_forward(global const float *weights, global const float *bias_hh,
                 global const float *peephole_i, global const float *peephole_f,
                 global const float *peephole_o, global const float *h_0, global const float *c_0,
                 global const int *lengths, global float *gates, global float *cells,
                 global float *y, global float *h_n, global float *c_n, int T, int N, int H,
                 int training, int reverse) {
  const Layer layer = {weights, bias_hh, h_0,      c_0,    {peephole_i, peephole_f, peephole_o},
                       lengths, gates,   cells,    y,      T,
                       N,       H,       training, reverse};
  const int slices = get_global_size(0), slice = get_global_id(0);
  const int first = (int)((long)N * slice / slices), end = (int)((long)N * (slice + 1) / slices);
  for (int s = 0; s < T; ++s) {
    const int t = reverse ? T - 1 - s : s;
    for (int unit = 0; unit < H; unit += TILE_UNITS) {
      for (int n = first; n < end;) {
        const int rows = next_rows(end - n);
        forward_tile(rows, &layer, t, n, unit);
        n += rows;
      }
    }
  }
  const size_t last = (size_t)(reverse ? 0 : T - 1) * N * H;
  for (size_t i = (size_t)first * H; i < (size_t)end * H; ++i) {
    if (h_n) h_n[i] = y[last + i];
    if (HAS_CELL_STATE && c_n) c_n[i] = cells[(training ? last : 0) + i];
  }
  if (!lengths) return;
  for (int t = 0; t < T; ++t) {
    for (int n = first; n < end; ++n) {
      global float *row = y + ((size_t)t * N + n) * H;
      for (int unit = 0; t >= lengths[n] && unit < H; ++unit) row[unit] = 0.0f;
    }
  }
}

/// sums[r] += the gradients that reach the state from the step after, whose gates' gradients are
/// `after`: the product with weight_hh, for COLUMNS units from `unit` on.
INLINE void add_gradients_from(int rows, REAL sums[ROWS][2], const Layer *layer,
                               global const float *after, int unit) {
  const int H = layer->H;
  if (DIAGONAL) {
    for (int r = 0; r < rows; ++r) {
      for (int v = 0; v < 2 && unit + v * WIDTH < H; ++v) {
        const int first = unit + v * WIDTH, count = H - first;
        for (int gate = 0; gate < GATES; ++gate) {
          global const float *row = after + ((size_t)r * SLOTS + RECURRENT_SLOT(gate)) * H;
          sums[r][v] = fma(load_lanes(layer->weights + gate * H + first, count),
                           load_lanes(row + first, count), sums[r][v]);
        }
      }
    }
    return;
  }
  global const float *panel = layer->weights + (size_t)(unit / COLUMNS) * GATES * H * COLUMNS;
  panel_products(rows, sums, after, SLOTS * H, 1, panel, PLAIN_GATES * H);
  if (PLAIN_GATES < GATES) {
    panel_products(rows, sums, after + (size_t)RECURRENT_SLOT(GATES - 1) * H, SLOTS * H, 1,
                   panel + (size_t)PLAIN_GATES * H * COLUMNS, H);
  }
}

/// Step t back of `rows` sequences from n on, for COLUMNS units, or with t outside the sequence the
/// gradient of h_0 into `grad_h_0`.
INLINE void backward_tile(int rows, const Layer *layer, int t, int n, int first,
                          global const float *grad_y, global const float *grad_h_n,
                          global float *dh, global float *dc, global float *grad_h_0) {
  const int T = layer->T, N = layer->N, H = layer->H, reverse = layer->reverse;
  const int t_after = reverse ? t - 1 : t + 1, is_last = t == (reverse ? 0 : T - 1);
  const int is_initial = t < 0 || t >= T;
  const size_t step = (size_t)N * H;
  REAL sums[ROWS][2];
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < 2; ++v) {
      const int unit = first + v * WIDTH, count = H - unit;
      REAL sum = (REAL)(0.0f);
      if (count > 0) {
        const size_t state = (size_t)(n + r) * H + unit;
        if (dh) sum = load_lanes(dh + state, count);
        else if (is_last && grad_h_n) sum = load_lanes(grad_h_n + state, count);
        if (!is_initial && is_active(layer->lengths, t, n + r)) {
          sum += load_lanes(grad_y + t * step + state, count);
        }
      }
      sums[r][v] = sum;
    }
  }
  if (!is_last) {
    add_gradients_from(rows, sums, layer, layer->gates + ((size_t)t_after * N + n) * SLOTS * H,
                       first);
  }
  for (int v = 0; v < 2; ++v) {
    const int unit = first + v * WIDTH, count = H - unit;
    if (count <= 0) break;
    Peepholes p;
    load_peepholes(&p, layer, unit, count);
    for (int r = 0; r < rows; ++r) {
      const size_t state = (size_t)(n + r) * H + unit;
      if (is_initial) {
        store_lanes(sums[r][v], grad_h_0 + state, count);
        continue;
      }
      global float *row = layer->gates + ((size_t)t * N + n + r) * SLOTS * H + unit;
      REAL slots[SLOTS], direct = (REAL)(0.0f);
      if (is_active(layer->lengths, t, n + r)) {
        REAL h_before = (REAL)(0.0f), c_before = (REAL)(0.0f), c = (REAL)(0.0f);
        REAL carried = (REAL)(0.0f);
        if (HAS_DIRECT_PATH) {
          global const float *before =
              state_before(layer->y, layer->h_0, layer->lengths, t, n + r, T, N, H, reverse);
          if (before) h_before = load_lanes(before + unit, count);
        }
        if (HAS_CELL_STATE) {
          global const float *before = running_state(layer->cells, layer->c_0, layer, t, n + r, 1);
          if (before) c_before = load_lanes(before + unit, count);
          c = load_lanes(layer->cells + t * step + state, count);
          carried = load_lanes(dc + state, count);
        }
        for (int slot = 0; slot < SLOTS; ++slot) {
          slots[slot] = load_lanes(row + (size_t)slot * H, count);
        }
        cell_backward(slots, h_before, c_before, c, sums[r][v], &carried, &direct, p);
        if (HAS_CELL_STATE) store_lanes(carried, dc + state, count);
      } else {
        for (int slot = 0; slot < SLOTS; ++slot) slots[slot] = (REAL)(0.0f);
        direct = sums[r][v];
      }
      if (dh) store_lanes(direct, dh + state, count);
      for (int slot = 0; slot < SLOTS; ++slot) {
        store_lanes(slots[slot], row + (size_t)slot * H, count);
      }
    }
  }
}

/// All steps backward. `weights` is weight_hh [G H, H] packed by pack_panels, or the diagonal
/// itself; `gates` holds what the forward pass kept and receives the gradients of the sums; `dc`
/// [N, H] begins as the gradient of c_n and ends as that of c_0. Where the state has a way back
/// beside the products (a direct path, or lengths) `dh` [N, H] carries it, and begins as the
/// gradient of h_n; elsewhere it is null and `grad_h_n` is read.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
sequence_backward(global const float *weights, global const float *peephole_i,
                  global const float *peephole_f, global const float *peephole_o,
                  global const float *h_0, global const float *c_0, global const int *lengths,
                  global const float *y, global const float *cells, global const float *grad_y,
                  global const float *grad_h_n, global float *gates, global float *dh,
                  global float *dc, global float *grad_h_0, int T, int N, int H, int reverse) {
  const Layer layer = {weights,
                       0,
                       h_0,
                       c_0,
                       {peephole_i, peephole_f, peephole_o},
                       lengths,
                       gates,
                       (global float *)cells,
                       (global float *)y,
                       T,
                       N,
                       H,
                       1,
                       reverse};
  const int slices = get_global_size(0), slice = get_global_id(0);
  const int first = (int)((long)N * slice / slices), end = (int)((long)N * (slice + 1) / slices);
  for (int s = T - 1; s >= (grad_h_0 ? -1 : 0); --s) {
    const int t = reverse ? T - 1 - s : s;
    for (int unit = 0; unit < H; unit += COLUMNS) {
      for (int n = first; n < end;) {
        const int rows = next_rows(end - n);
        backward_tile(rows, &layer, t, n, unit, grad_y, grad_h_n, dh, dc, grad_h_0);
        n += rows;
      }
    }
  }
}
