// One hidden unit of one sequence at one step, without the recurrent product: what the strategies
// share that give a unit to a work-item.
//
// The caller decides where the states are: in memory at each step, or in registers over all steps.
//
// Built with WIDTH 1. A cell comes before it.

#include "recurrent/layer.cl"

/// What the sums begin as: x W^T + b of each gate.
INLINE void begin_sums(const Layer *layer, float slots[SLOTS], int t, int n, int unit) {
  const int H = layer->H;
  global const float *row = layer->gates + gates_row_offset(layer, t, n) + unit;
#pragma unroll
  for (int slot = 0; slot < SLOTS; ++slot) {
    slots[slot] = slot < GATES ? row[(size_t)slot * H] : 0.0f;
  }
  if (layer->bias_hh) {
#pragma unroll
    for (int gate = 0; gate < GATES; ++gate) {
      slots[RECURRENT_SLOT(gate)] += layer->bias_hh[gate * H + unit];
    }
  }
}

/// Step t of a unit: `slots` holds the sums, h and c the states before the step and then those
/// after it. Past its end a sequence keeps its last state.
INLINE void
unit_forward(const Layer *layer, float slots[SLOTS], float *h, float *c, int t, int n, int unit) {
  const int H = layer->H;
  const size_t index = ((size_t)t * layer->N + n) * H + unit;
  if (is_active(layer->lengths, t, n)) {
    float before[MEMORY];
    EACH_MEMORY(k) before[k] = c[k];
    Peepholes p;
    load_peepholes(&p, layer, unit, 1);
    *h = kept_state(kept_hidden(layer, index, 1), *h, cell_forward(slots, *h, c, p));
    if (ZONEOUT && HAS_MEMORY) {
      if (layer->cells_before_zoneout)
        store_memory(c, layer->cells_before_zoneout + memory_offset(layer, t, n), H, unit, 1);
      EACH_MEMORY(k) c[k] = kept_state(kept_cell(layer, index, 1), before[k], c[k]);
    }
  }
  store_hidden(layer, *h, layer->y + y_row_offset(layer, t, n), t, n, unit, 1);
}

/// Stores, in training, what the backward pass needs of a step besides c.
INLINE void keep_slots(const Layer *layer, const float slots[SLOTS], int t, int n, int unit) {
  const int H = layer->H;
  global float *row = layer->gates + gates_row_offset(layer, t, n) + unit;
  if (!layer->training || !is_active(layer->lengths, t, n)) return;
#pragma unroll
  for (int slot = 0; slot < SLOTS; ++slot) row[(size_t)slot * H] = slots[slot];
}

/// What the backward pass reads of a step besides the slots.
typedef struct {
  float h_before, c_before[MEMORY], c[MEMORY], grad_y;
} UnitStep;

INLINE void load_unit_step(UnitStep *step, float slots[SLOTS], const Layer *layer,
                           global const float *grad_y, int t, int n, int unit) {
  const int H = layer->H;
  global const float *row = layer->gates + gates_row_offset(layer, t, n) + unit;
#pragma unroll
  for (int slot = 0; slot < SLOTS; ++slot) slots[slot] = row[(size_t)slot * H];
  step->h_before = step->c_before[0] = step->c[0] = 0.0f;
  step->grad_y = grad_y[y_row_offset(layer, t, n) + unit];
  if (HAS_DIRECT_PATH) {
    global const float *before = own_hidden(layer, t, n);
    if (before) step->h_before = before[unit];
  }
  if (HAS_MEMORY) {
    global const float *after = ZONEOUT ? layer->cells_before_zoneout : layer->cells;
    load_memory(step->c_before, memory_before(layer, t, n), H, unit, 1);
    load_memory(step->c, after + memory_offset(layer, t, n), H, unit, 1);
  }
}

/// The gradients of the sums of step t, written over what the forward pass kept. `dh` holds the
/// gradient of h from the step after, and receives that of h' that does not pass through the
/// products; `dc` become the gradients of the states beside h before.
INLINE void unit_backward(const Layer *layer, const UnitStep *step, float slots[SLOTS], float *dh,
                          float *dc, int t, int n, int unit) {
  const int H = layer->H;
  const size_t index = ((size_t)t * layer->N + n) * H + unit;
  global float *row = layer->gates + gates_row_offset(layer, t, n) + unit;
  if (!is_active(layer->lengths, t, n)) {
#pragma unroll
    for (int slot = 0; slot < SLOTS; ++slot) row[(size_t)slot * H] = 0.0f;
    return;
  }
  const float gradient = *dh + step->grad_y;
  float direct = 0.0f, kept[MEMORY] = {0.0f};
  if (ZONEOUT) {
    EACH_MEMORY(k) {
      kept[k] = kept_cell(layer, index, 1) * dc[k];
      dc[k] -= kept[k];
    }
  }
  Peepholes p;
  load_peepholes(&p, layer, unit, 1);
  const float kept_gradient = kept_hidden(layer, index, 1) * gradient;
  cell_backward(slots, step->h_before, step->c_before, step->c, gradient - kept_gradient, dc,
                &direct, p);
  EACH_MEMORY(k) dc[k] += kept[k];
  *dh = direct + kept_gradient;
#pragma unroll
  for (int slot = 0; slot < SLOTS; ++slot) row[(size_t)slot * H] = slots[slot];
}
