// Strategy "sequence": one launch walks all steps; a work-item owns a slice of the batch.
// lint: vector.cl activation.cl lstm.cl states.cl layer.cl panel.cl; -D WIDTH=16 -D ACT_0=0 -D ACT_1=0 -D ACT_2=1 -D ACT_3=0 -D ACT_4=1 -D ALPHA_0=1.0f -D BETA_0=0.0f -D ALPHA_1=1.0f -D BETA_1=0.0f -D ALPHA_2=1.0f -D BETA_2=0.0f -D ALPHA_3=1.0f -D BETA_3=0.0f -D ALPHA_4=1.0f -D BETA_4=0.0f
// lint: vector.cl activation.cl gru.cl states.cl layer.cl panel.cl; -D WIDTH=16 -D ACT_0=0 -D ACT_1=0 -D ACT_2=1 -D ALPHA_0=1.0f -D BETA_0=0.0f -D ALPHA_1=1.0f -D BETA_1=0.0f -D ALPHA_2=1.0f -D BETA_2=0.0f -D ALPHA_3=1.0f -D BETA_3=0.0f -D ALPHA_4=1.0f -D BETA_4=0.0f
// lint: vector.cl activation.cl rnn.cl states.cl layer.cl panel.cl; -D WIDTH=16 -D DIAGONAL=1 -D ACT_0=1 -D ALPHA_0=1.0f -D BETA_0=0.0f -D ALPHA_1=1.0f -D BETA_1=0.0f -D ALPHA_2=1.0f -D BETA_2=0.0f -D ALPHA_3=1.0f -D BETA_3=0.0f -D ALPHA_4=1.0f -D BETA_4=0.0f
//
// Nothing is shared between work-items, so that no step waits for another slice: the strategy of
// devices with few fast cores. Each step multiplies the slice's states with packed weights that
// stay in the core's cache, and applies the cell as soon as the gates of a few units are summed.
//
//   pack_gates         weight_hh into panels in which the gates of the same units stand together.
//   sequence_forward   all steps in the layer's direction.
//   sequence_backward  all steps against it.
//
// Layouts as in layer.cl, P = H. Global size: slices.
//
// Assumes vector.cl, activation.cl, a cell, states.cl, layer.cl and panel.cl before it.

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
  for (int k0 = 0; k0 < H; k0 += PACK_DEPTH) {
    const int end = min(k0 + PACK_DEPTH, H);
    for (int j = 0; j < TILE_PANELS * COLUMNS; ++j) {
      const int v = j / WIDTH, unit = first + v / GATES * WIDTH + j % WIDTH;
      global const float *row = weight + ((size_t)(v % GATES) * H + unit) * H;
      global float *column = panels + (size_t)(j / COLUMNS) * H * COLUMNS + j % COLUMNS;
      for (int k = k0; k < end; ++k) column[k * COLUMNS] = unit < H ? row[k] : 0.0f;
    }
  }
}

/// Step t of `rows` sequences from n on, for the units of one tile.
INLINE void forward_tile(int rows, const Layer *layer, int t, int n, int first) {
  const int H = layer->H;
  REAL sums[TILE_PANELS][ROWS][2];
  global const float *h_before = hidden_before(layer, t, n);
  global const float *factors = factor_before(layer, t, n);
  global float *gates = layer->gates + ((size_t)t * layer->N + n) * SLOTS * H;
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < TILE_VECTORS; ++v) {
      const int gate = v % GATES, unit = first + v / GATES * WIDTH, count = H - unit;
      REAL sum = (REAL)(0.0f);
      if (count > 0 && gate < PLAIN_GATES) {
        sum = load_lanes(gates + ((size_t)r * SLOTS + gate) * H + unit, count);
      }
      if (count > 0 && layer->bias_hh) sum += load_lanes(layer->bias_hh + gate * H + unit, count);
      if (DIAGONAL && factors && count > 0) {
        sum = fma(load_lanes(layer->weights + gate * H + unit, count),
                  load_lanes(factors + (size_t)r * H + unit, count), sum);
      }
      sums[v / 2][r][v % 2] = sum;
    }
  }
  if (factors && !DIAGONAL) {
    int end;
    const int begin = block_range(first, min(TILE_UNITS, H - first), layer->block_units,
                                  layer->block_states, H, &end);
    global const float *panels =
        layer->weights + (size_t)(first / TILE_UNITS) * TILE_PANELS * H * COLUMNS + begin * COLUMNS;
    for (int q = 0; q < TILE_PANELS; ++q) {
      panel_products(rows, sums[q], factors + begin, H, 1, panels + (size_t)q * H * COLUMNS,
                     end - begin);
    }
  }
  for (int u = 0; u < UNIT_VECTORS; ++u) {
    const int unit = first + u * WIDTH, count = H - unit;
    if (count <= 0) break;
    Peepholes p;
    load_peepholes(&p, layer, unit, count);
    for (int r = 0; r < rows; ++r) {
      global float *row = gates + (size_t)r * SLOTS * H + unit;
      const size_t state = (size_t)(n + r) * H + unit, index = (size_t)t * layer->N * H + state;
      const size_t cell = layer->training ? index : state;
      REAL h = h_before ? load_lanes(h_before + (size_t)r * H + unit, count) : (REAL)(0.0f);
      REAL c = (REAL)(0.0f);
      if (HAS_CELL_STATE) {
        global const float *before = cell_before(layer, t, n + r);
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
        const REAL c_before = c;
        h = kept_state(kept_hidden(layer, index, count), h, cell_forward(slots, h, &c, p));
        if (ZONEOUT && HAS_CELL_STATE) {
          if (layer->fresh) store_lanes(c, layer->fresh + cell, count);
          c = kept_state(kept_cell(layer, index, count), c_before, c);
        }
        if (layer->training) {
          for (int slot = 0; slot < SLOTS; ++slot) {
            store_lanes(slots[slot], row + (size_t)slot * H, count);
          }
        }
      }
      store_hidden(layer, h, t, n + r, unit, count);
      if (HAS_CELL_STATE) store_lanes(c, layer->cells + cell, count);
    }
  }
}

/// All steps forward. `gates` holds x W^T + b in its first GATES slots and, where `training` is 1,
/// receives what the backward pass needs. `weights` is packed by pack_gates, or the diagonal
/// itself.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
sequence_forward(LAYER_PARAMETERS, global float *h_n, global float *c_n) {
  const Layer layer = LAYER;
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
  finish_slice(&layer, first, end, h_n, c_n);
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
  if (layer->block_units < H) {
    int end;
    const int begin =
        block_range(unit, min(COLUMNS, H - unit), layer->block_states, layer->block_units, H, &end);
    for (int gate = 0; gate < GATES; ++gate) {
      panel_products(rows, sums, after + (size_t)RECURRENT_SLOT(gate) * H + begin, SLOTS * H, 1,
                     panel + (size_t)(gate * H + begin) * COLUMNS, end - begin);
    }
    return;
  }
  panel_products(rows, sums, after, SLOTS * H, 1, panel, PLAIN_GATES * H);
  if (PLAIN_GATES < GATES) {
    panel_products(rows, sums, after + (size_t)RECURRENT_SLOT(GATES - 1) * H, SLOTS * H, 1,
                   panel + (size_t)PLAIN_GATES * H * COLUMNS, H);
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
  if (t >= 0 && t < layer->T && is_active(layer->lengths, t, n)) {
    sum += load_lanes(grad_y + (size_t)t * layer->N * layer->H + state, count);
  }
  return sum;
}

/// Step t back of `rows` sequences from n on, for COLUMNS units, or with t outside the sequence the
/// gradient of h_0 into `grad_h_0`.
INLINE void backward_tile(int rows, const Layer *layer, int t, int n, int first,
                          global const float *grad_y, global const float *grad_h_n,
                          global float *dh, global float *dc, global float *grad_h_0) {
  const int T = layer->T, N = layer->N, H = layer->H;
  const int t_after = layer->reverse ? t - 1 : t + 1, is_initial = t < 0 || t >= T;
  const size_t step = (size_t)N * H;
  REAL sums[ROWS][2];
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < 2; ++v) {
      const int unit = first + v * WIDTH, count = H - unit;
      sums[r][v] = count > 0 && !layer->mask
                       ? gradient_at(layer, t, n + r, unit, count, grad_y, grad_h_n, dh)
                       : (REAL)(0.0f);
    }
  }
  if (t != last_step(layer)) {
    add_gradients_from(rows, sums, layer, layer->gates + ((size_t)t_after * N + n) * SLOTS * H,
                       first);
  }
  for (int v = 0; v < 2; ++v) {
    const int unit = first + v * WIDTH, count = H - unit;
    if (count <= 0) break;
    Peepholes p;
    load_peepholes(&p, layer, unit, count);
    for (int r = 0; r < rows; ++r) {
      const size_t state = (size_t)(n + r) * H + unit, index = t * step + state;
      REAL gradient = sums[r][v];
      if (layer->mask) {
        gradient = fma(gradient, load_lanes(layer->mask + state, count),
                       gradient_at(layer, t, n + r, unit, count, grad_y, grad_h_n, dh));
      }
      if (is_initial) {
        store_lanes(gradient, grad_h_0 + state, count);
        continue;
      }
      global float *row = layer->gates + ((size_t)t * N + n + r) * SLOTS * H + unit;
      REAL slots[SLOTS], direct = (REAL)(0.0f);
      if (is_active(layer->lengths, t, n + r)) {
        REAL h_before = (REAL)(0.0f), c_before = (REAL)(0.0f), c = (REAL)(0.0f);
        REAL carried = (REAL)(0.0f), kept = (REAL)(0.0f);
        if (HAS_DIRECT_PATH) {
          global const float *before = true_hidden_before(layer, t, n + r);
          if (before) h_before = load_lanes(before + unit, count);
        }
        if (HAS_CELL_STATE) {
          global const float *before = cell_before(layer, t, n + r);
          if (before) c_before = load_lanes(before + unit, count);
          c = load_lanes((ZONEOUT ? layer->fresh : layer->cells) + index, count);
          carried = load_lanes(dc + state, count);
          if (ZONEOUT) {
            kept = kept_cell(layer, index, count) * carried;
            carried -= kept;
          }
        }
        for (int slot = 0; slot < SLOTS; ++slot) {
          slots[slot] = load_lanes(row + (size_t)slot * H, count);
        }
        const REAL kept_gradient = kept_hidden(layer, index, count) * gradient;
        cell_backward(slots, h_before, c_before, c, gradient - kept_gradient, &carried, &direct, p);
        direct += kept_gradient;
        if (HAS_CELL_STATE) store_lanes(carried + kept, dc + state, count);
      } else {
        for (int slot = 0; slot < SLOTS; ++slot) slots[slot] = (REAL)(0.0f);
        direct = gradient;
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
/// beside the products (a direct path, lengths or zoneout) `dh` [N, H] carries it, and begins as
/// the gradient of h_n; elsewhere it is null and `grad_h_n` is read.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
sequence_backward(LAYER_PARAMETERS, global const float *grad_y, global const float *grad_h_n,
                  global float *dh, global float *dc, global float *grad_h_0) {
  const Layer layer = LAYER;
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
