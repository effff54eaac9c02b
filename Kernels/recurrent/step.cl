// Strategy "step": a launch for each time step, for GPUs, where a step is enough work for the
// device.
//
// A work-group computes BATCH x UNITS states: the recurrent product, through local memory in passes
// of UNITS along k, and then the cell update (unit.cl).
//
// Layouts as in layer.cl, P = H. Global size: H and N, each rounded up to the work-group's UNITS
// and BATCH.
//
// Parameters:
//   UNITS, BATCH   the extents of a work-group.

#include "recurrent/unit.cl"

#ifndef UNITS
#define UNITS 16
#endif
#ifndef BATCH
#define BATCH 16
#endif

/// Step t forward. `gates` holds x W^T + b in its first GATES slots and, where `training` is 1,
/// receives what the backward pass needs; `weights` is weight_hh [G H, H], or the diagonal. Past a
/// sequence's length y holds its last state until clear_padding clears it, after all steps.
kernel __attribute__((reqd_work_group_size(UNITS, BATCH, 1))) void
step_forward(LAYER_PARAMETERS, int t) {
  local float h_tile[BATCH][UNITS + 1], w_tile[GATES][UNITS][UNITS + 1];
  const Layer layer = LAYER;
  const int lane = get_local_id(0), row_lane = get_local_id(1);
  const int unit = get_global_id(0), n = get_global_id(1), first = get_group_id(0) * UNITS;
  const int inside = unit < H && n < N;
  global const float *recurrent_input = recurrent_input_before(&layer, t, 0);
  const size_t row = (size_t)n * recurrent_input_stride(&layer, t);
  float slots[SLOTS] = {0.0f};
  if (inside) begin_sums(&layer, slots, t, n, unit);
  if (recurrent_input && DIAGONAL) {
    for (int gate = 0; gate < GATES && inside; ++gate) {
      const int slot = RECURRENT_SLOT(gate);
      slots[slot] = fma(weights[gate * H + unit], recurrent_input[row + unit], slots[slot]);
    }
  } else if (recurrent_input && RECURRENT) {
    int end;
    const int begin = block_range(first, min(UNITS, H - first), block_units, block_states, H, &end);
    for (int k0 = begin; k0 < end; k0 += UNITS) {
      const int k = k0 + lane;
      h_tile[row_lane][lane] = n < N && k < end ? recurrent_input[row + k] : 0.0f;
      for (int r = row_lane; r < GATES * UNITS; r += BATCH) {
        const int gate = r / UNITS, u = r % UNITS;
        w_tile[gate][u][lane] =
            first + u < H && k < end ? weights[((size_t)gate * H + first + u) * H + k] : 0.0f;
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
  global const float *h_before = hidden_before(&layer, t, n);
  float h = h_before ? h_before[unit] : 0.0f, c[MEMORY];
  load_memory(c, HAS_MEMORY ? memory_before(&layer, t, n) : 0, H, unit, 1);
  unit_forward(&layer, slots, &h, c, t, n, unit);
  keep_slots(&layer, slots, t, n, unit);
  if (HAS_MEMORY) store_memory(c, cells + memory_offset(&layer, t, n), H, unit, 1);
}

/// The gradient of h that comes from the step after through the products; `after` [N, SLOTS, H] are
/// the gradients of its sums. All work-items of a group take part.
INLINE float gradient_from(const Layer *layer, global const float *after,
                           local float (*a_tile)[UNITS + 1], local float (*w_tile)[UNITS + 1]) {
  const int lane = get_local_id(0), row_lane = get_local_id(1), first = get_group_id(0) * UNITS;
  const int unit = get_global_id(0), n = get_global_id(1), N = layer->N, H = layer->H;
  int end;
  const int begin =
      block_range(first, min(UNITS, H - first), layer->block_states, layer->block_units, H, &end);
  float sum = 0.0f;
  for (int gate = 0; gate < GATES && RECURRENT; ++gate) {
    global const float *row = after + (size_t)n * layer->gates_stride + RECURRENT_SLOT(gate) * H;
    if (DIAGONAL) {
      if (unit < H && n < N) sum = fma(layer->weights[gate * H + unit], row[unit], sum);
      continue;
    }
    for (int k0 = begin; k0 < end; k0 += UNITS) {
      a_tile[row_lane][lane] = n < N && k0 + lane < end ? row[k0 + lane] : 0.0f;
      for (int r = row_lane; r < UNITS; r += BATCH) {
        w_tile[r][lane] = k0 + r < end && unit < H
                              ? layer->weights[((size_t)gate * H + k0 + r) * H + unit]
                              : 0.0f;
      }
      barrier(CLK_LOCAL_MEM_FENCE);
      for (int j = 0; j < UNITS; ++j) sum = fma(a_tile[row_lane][j], w_tile[j][lane], sum);
      barrier(CLK_LOCAL_MEM_FENCE);
    }
  }
  if (layer->mask && unit < H && n < N) sum *= layer->mask[(size_t)n * H + unit];
  return sum;
}

/// Step t backward. `gates` holds what the forward pass kept and receives the gradients of the
/// sums, those of the step after already there; `dc` [N, M, H] carries the gradients of the states
/// beside h. Where a gradient of h does not pass through the products (a direct path, lengths or
/// zoneout) `dh` [N, H] carries it, and begins as the gradient of h_n; elsewhere it is null and
/// `grad_h_n` is read.
kernel __attribute__((reqd_work_group_size(UNITS, BATCH, 1))) void
step_backward(LAYER_PARAMETERS, global const float *grad_y, global const float *grad_h_n,
              global float *dh, global float *dc, int t) {
  local float a_tile[BATCH][UNITS + 1], w_tile[UNITS][UNITS + 1];
  const Layer layer = LAYER;
  const int unit = get_global_id(0), n = get_global_id(1);
  const int is_last = t == last_step(&layer), t_after = reverse ? t - 1 : t + 1;
  const size_t state = (size_t)n * H + unit;
  float gradient = 0.0f;
  if (!is_last) {
    gradient = gradient_from(&layer, gates + gates_row_offset(&layer, t_after, 0), a_tile, w_tile);
  }
  if (unit >= H || n >= N) return;
  if (dh) gradient += dh[state];
  else if (is_last && grad_h_n) gradient += grad_h_n[state];
  UnitStep step;
  float slots[SLOTS];
  load_unit_step(&step, slots, &layer, grad_y + y_offset, t, n, unit);
  float carried[MEMORY];
  global float *dc_row = HAS_MEMORY ? dc + (size_t)n * MEMORIES * H : 0;
  load_memory(carried, dc_row, H, unit, 1);
  unit_backward(&layer, &step, slots, &gradient, carried, t, n, unit);
  store_memory(carried, dc_row, H, unit, 1);
  if (dh) dh[state] = gradient;
}

/// The gradient of h_0 [N, H]: from the gates' gradients of the first step, t, and `dh`.
kernel __attribute__((reqd_work_group_size(UNITS, BATCH, 1))) void
step_initial(LAYER_PARAMETERS, global const float *dh, global float *grad_h_0, int t) {
  local float a_tile[BATCH][UNITS + 1], w_tile[UNITS][UNITS + 1];
  const Layer layer = LAYER;
  const int unit = get_global_id(0), n = get_global_id(1);
  const size_t state = (size_t)n * H + unit;
  const float sum = gradient_from(&layer, gates + gates_row_offset(&layer, t, 0), a_tile, w_tile);
  if (unit < H && n < N) grad_h_0[state] = dh ? sum + dh[state] : sum;
}
