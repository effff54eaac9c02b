// Strategy "step": a launch per time step, the gates fused into the recurrent product.
// lint: vector.cl activation.cl lstm.cl states.cl; -D WIDTH=1 -D ACT_0=0 -D ACT_1=0 -D ACT_2=1 -D ACT_3=0 -D ACT_4=1 -D ALPHA_0=1.0f -D BETA_0=0.0f -D ALPHA_1=1.0f -D BETA_1=0.0f -D ALPHA_2=1.0f -D BETA_2=0.0f -D ALPHA_3=1.0f -D BETA_3=0.0f -D ALPHA_4=1.0f -D BETA_4=0.0f
// lint: vector.cl activation.cl gru.cl states.cl; -D WIDTH=1 -D ACT_0=0 -D ACT_1=0 -D ACT_2=1 -D ALPHA_0=1.0f -D BETA_0=0.0f -D ALPHA_1=1.0f -D BETA_1=0.0f -D ALPHA_2=1.0f -D BETA_2=0.0f -D ALPHA_3=1.0f -D BETA_3=0.0f -D ALPHA_4=1.0f -D BETA_4=0.0f
// lint: vector.cl activation.cl rnn.cl states.cl; -D WIDTH=1 -D DIAGONAL=1 -D ACT_0=1 -D ALPHA_0=1.0f -D BETA_0=0.0f -D ALPHA_1=1.0f -D BETA_1=0.0f -D ALPHA_2=1.0f -D BETA_2=0.0f -D ALPHA_3=1.0f -D BETA_3=0.0f -D ALPHA_4=1.0f -D BETA_4=0.0f
//
// A work-group computes BATCH x UNITS states; the product runs through local memory in passes of
// UNITS along k. The strategy of devices with many cores, where a step fills the device.
//
// Layouts: gates [T, N, SLOTS, H], cells [T, N, H], y [T, N, H], states [N, H]. Global size: H and
// N, each rounded up to the work-group's UNITS and BATCH. Pointers that a cell or a call has no use
// for are null.
//
// Parameters:
//   UNITS, BATCH   the extents of a work-group.
//   DIAGONAL       1: weight_hh is [GATES, H], a factor for each unit.
//
// Assumes vector.cl with WIDTH 1, activation.cl, a cell and states.cl before it.

#ifndef UNITS
#define UNITS 16
#endif
#ifndef BATCH
#define BATCH 16
#endif
#ifndef DIAGONAL
#define DIAGONAL 0
#endif

/// The peepholes of one unit.
INLINE void load_peepholes(Peepholes *p, global const float *input, global const float *forget,
                           global const float *output, int unit) {
  p->input = input ? input[unit] : 0.0f;
  p->forget = forget ? forget[unit] : 0.0f;
  p->output = output ? output[unit] : 0.0f;
}

/// The row of `states` [T, N, H] before step t as the forward pass holds it: past its end a
/// sequence's state stands still, so that all rows of a step lie together. Null stands for zeros.
INLINE global const float *running_states(global const float *states, global const float *initial,
                                          int t, int T, int N, int H, int kept, int reverse) {
  if (t == (reverse ? T - 1 : 0)) return initial;
  return kept ? states + (size_t)(reverse ? t + 1 : t - 1) * N * H : states;
}

/// Step t forward. `gates` holds x W^T + b in its first GATES slots and, where `training` is 1,
/// receives what the backward pass needs; `cells` receives every cell state, or with `training` 0
/// is [N, H] and holds the last one. `bias_hh` is given where the cell keeps the recurrent product
/// apart. Past a sequence's length y holds its last state: step_clear clears it once all steps are
/// done.
kernel __attribute__((reqd_work_group_size(UNITS, BATCH, 1))) void
step_forward(global const float *weight, global const float *bias_hh,
             global const float *peephole_i, global const float *peephole_f,
             global const float *peephole_o, global const float *h_0, global const float *c_0,
             global const int *lengths, global float *gates, global float *cells, global float *y,
             int t, int T, int N, int H, int training, int reverse) {
  local float h_tile[BATCH][UNITS + 1], w_tile[GATES][UNITS][UNITS + 1];
  const int lane = get_local_id(0), row_lane = get_local_id(1);
  const int unit = get_global_id(0), n = get_global_id(1), first = get_group_id(0) * UNITS;
  const int inside = unit < H && n < N;
  const size_t step = (size_t)N * H, state = (size_t)n * H + unit;
  global const float *h_before = running_states(y, h_0, t, T, N, H, 1, reverse);
  global float *row = gates + ((size_t)t * N + n) * SLOTS * H + unit;
  float slots[SLOTS];
  for (int slot = 0; slot < SLOTS; ++slot) {
    slots[slot] = inside && slot < GATES ? row[(size_t)slot * H] : 0.0f;
  }
  if (bias_hh && inside) {
    for (int gate = 0; gate < GATES; ++gate) {
      slots[RECURRENT_SLOT(gate)] += bias_hh[gate * H + unit];
    }
  }
  if (h_before && DIAGONAL) {
    for (int gate = 0; gate < GATES && inside; ++gate) {
      const int slot = RECURRENT_SLOT(gate);
      slots[slot] = fma(weight[gate * H + unit], h_before[state], slots[slot]);
    }
  } else if (h_before) {
    for (int k0 = 0; k0 < H; k0 += UNITS) {
      const int k = k0 + lane;
      h_tile[row_lane][lane] = n < N && k < H ? h_before[(size_t)n * H + k] : 0.0f;
      for (int r = row_lane; r < GATES * UNITS; r += BATCH) {
        const int gate = r / UNITS, u = r % UNITS;
        w_tile[gate][u][lane] =
            first + u < H && k < H ? weight[((size_t)gate * H + first + u) * H + k] : 0.0f;
      }
      barrier(CLK_LOCAL_MEM_FENCE);
      for (int j = 0; j < UNITS; ++j) {
        const float value = h_tile[row_lane][j];
        for (int gate = 0; gate < GATES; ++gate) {
          const int slot = RECURRENT_SLOT(gate);
          slots[slot] = fma(value, w_tile[gate][lane][j], slots[slot]);
        }
      }
      barrier(CLK_LOCAL_MEM_FENCE);
    }
  }
  if (!inside) return;
  float h = h_before ? h_before[state] : 0.0f, c = 0.0f;
  if (HAS_CELL_STATE) {
    global const float *before = running_states(cells, c_0, t, T, N, H, training, reverse);
    if (before) c = before[state];
  }
  if (is_active(lengths, t, n)) {
    Peepholes p;
    load_peepholes(&p, peephole_i, peephole_f, peephole_o, unit);
    h = cell_forward(slots, h, &c, p);
    if (training) {
      for (int slot = 0; slot < SLOTS; ++slot) row[(size_t)slot * H] = slots[slot];
    }
  }
  y[t * step + state] = h;
  if (HAS_CELL_STATE) cells[(training ? t * step : 0) + state] = c;
}

/// y = 0 past each sequence's length. Global size: H, N, T.
kernel void step_clear(global float *y, global const int *lengths, int N, int H) {
  const int unit = get_global_id(0), n = get_global_id(1), t = get_global_id(2);
  if (t >= lengths[n]) y[((size_t)t * N + n) * H + unit] = 0.0f;
}

/// The gradient of h that comes from the step after, whose gates' gradients are `after` [N, SLOTS,
/// H]. All work-items of a group take part.
inline float gradient_from(global const float *weight, global const float *after, int N, int H,
                           local float (*a_tile)[UNITS + 1], local float (*w_tile)[UNITS + 1]) {
  const int lane = get_local_id(0), row_lane = get_local_id(1);
  const int unit = get_global_id(0), n = get_global_id(1);
  float sum = 0.0f;
  for (int gate = 0; gate < GATES; ++gate) {
    global const float *row = after + ((size_t)n * SLOTS + RECURRENT_SLOT(gate)) * H;
    if (DIAGONAL) {
      if (unit < H && n < N) sum = fma(weight[gate * H + unit], row[unit], sum);
      continue;
    }
    for (int k0 = 0; k0 < H; k0 += UNITS) {
      a_tile[row_lane][lane] = n < N && k0 + lane < H ? row[k0 + lane] : 0.0f;
      for (int r = row_lane; r < UNITS; r += BATCH) {
        w_tile[r][lane] =
            k0 + r < H && unit < H ? weight[((size_t)gate * H + k0 + r) * H + unit] : 0.0f;
      }
      barrier(CLK_LOCAL_MEM_FENCE);
      for (int j = 0; j < UNITS; ++j) sum = fma(a_tile[row_lane][j], w_tile[j][lane], sum);
      barrier(CLK_LOCAL_MEM_FENCE);
    }
  }
  return sum;
}

/// Step t backward. `gates` holds what the forward pass kept and receives the gradients of the
/// sums, those of the step after already there; `dc` [N, H] carries the gradient of c. Where the
/// state has a way back beside the products (a direct path, or lengths) `dh` [N, H] carries it, and
/// begins as the gradient of h_n; elsewhere it is null and `grad_h_n` is read.
kernel __attribute__((reqd_work_group_size(UNITS, BATCH, 1))) void
step_backward(global const float *weight, global const float *peephole_i,
              global const float *peephole_f, global const float *peephole_o,
              global const float *h_0, global const float *c_0, global const int *lengths,
              global const float *y, global const float *cells, global const float *grad_y,
              global const float *grad_h_n, global float *gates, global float *dh, global float *dc,
              int t, int T, int N, int H, int reverse) {
  local float a_tile[BATCH][UNITS + 1], w_tile[UNITS][UNITS + 1];
  const int unit = get_global_id(0), n = get_global_id(1);
  const int is_last = t == (reverse ? 0 : T - 1), t_after = reverse ? t - 1 : t + 1;
  const size_t step = (size_t)N * H, state = (size_t)n * H + unit;
  float gradient = 0.0f;
  if (!is_last) {
    gradient = gradient_from(weight, gates + t_after * step * SLOTS, N, H, a_tile, w_tile);
  }
  if (unit >= H || n >= N) return;
  if (dh) gradient += dh[state];
  else if (is_last && grad_h_n) gradient += grad_h_n[state];
  global float *row = gates + ((size_t)t * N + n) * SLOTS * H + unit;
  if (!is_active(lengths, t, n)) {
    for (int slot = 0; slot < SLOTS; ++slot) row[(size_t)slot * H] = 0.0f;
    dh[state] = gradient;
    return;
  }
  gradient += grad_y[t * step + state];
  float slots[SLOTS], h_before = 0.0f, c_before = 0.0f, c = 0.0f, carried = 0.0f, direct = 0.0f;
  for (int slot = 0; slot < SLOTS; ++slot) slots[slot] = row[(size_t)slot * H];
  if (HAS_DIRECT_PATH) {
    global const float *before = state_before(y, h_0, lengths, t, n, T, N, H, reverse);
    if (before) h_before = before[unit];
  }
  if (HAS_CELL_STATE) {
    global const float *before = running_states(cells, c_0, t, T, N, H, 1, reverse);
    if (before) c_before = before[state];
    c = cells[t * step + state];
    carried = dc[state];
  }
  Peepholes p;
  load_peepholes(&p, peephole_i, peephole_f, peephole_o, unit);
  cell_backward(slots, h_before, c_before, c, gradient, &carried, &direct, p);
  if (HAS_CELL_STATE) dc[state] = carried;
  if (dh) dh[state] = direct;
  for (int slot = 0; slot < SLOTS; ++slot) row[(size_t)slot * H] = slots[slot];
}

/// The gradient of h_0 [N, H]: from the gates' gradients `after` of the first step, and `dh`.
kernel __attribute__((reqd_work_group_size(UNITS, BATCH, 1))) void
step_initial(global const float *weight, global const float *gates, global const float *dh,
             global float *grad_h_0, int t, int N, int H) {
  local float a_tile[BATCH][UNITS + 1], w_tile[UNITS][UNITS + 1];
  const int unit = get_global_id(0), n = get_global_id(1);
  const size_t state = (size_t)n * H + unit;
  const float sum = gradient_from(weight, gates + (size_t)t * N * H * SLOTS, N, H, a_tile, w_tile);
  if (unit < H && n < N) grad_h_0[state] = dh ? sum + dh[state] : sum;
}
