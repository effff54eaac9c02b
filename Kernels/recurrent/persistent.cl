// Strategy "persistent": one launch computes all steps, for GPUs (the persistent RNN of Diamos et
// al. 2016). The work-groups keep their weights and states, and wait for each other after each
// step.
//
// A tile is ROWS sequences of UNITS hidden units. A work-group computes one tile at every step; it
// holds the states of the tile in registers and, with KEPT, its recurrent weights in local memory.
// The groups with the same sequences are a team: each reads what all of them wrote at the step
// before. Global size: ITEMS times the tiles of H, and the tiles of N.
//
// A group that waits too long gives up, and all stop (grid.cl). What is left then is done by a
// second launch, persistent_forward_rest or persistent_backward_rest: one group, tile after tile.
//
// Dense recurrences with P = H. Layouts as in layer.cl.
//
// Parameters as in persistent_product.cl, and BACKWARD 1 for the backward pass.

#include "recurrent/grid.cl"
#include "recurrent/persistent_product.cl"
#include "recurrent/unit.cl"

#define PERSISTENT_KERNEL kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void

#define EACH_OWNED(o) _Pragma("unroll") for (int o = 0; o < OWN; ++o)

/// The first sequence and hidden unit of a tile.
typedef struct {
  int row, unit;
} Origin;

/// The o-th state of a tile that this work-item owns: its sequence and unit. Returns whether there
/// is one.
INLINE int find_owned(int o, const Layer *layer, const Origin *first, int *n, int *unit) {
  const int e = get_local_id(0) + o * ITEMS;
  *n = first->row + e / UNITS;
  *unit = first->unit + e % UNITS;
  return e < ROWS * UNITS && *n < layer->N && *unit < layer->H;
}

#if !BACKWARD
INLINE void begin_tile(const Layer *layer, float slots[OWN][SLOTS], int t, const Origin *first) {
  EACH_OWNED(o) {
    int n, unit;
    if (find_owned(o, layer, first, &n, &unit)) {
      begin_sums(layer, slots[o], t, n, unit);
    }
  }
}

/// Step t of a tile, from what its sums begin as, h and c to the h and c after it.
INLINE void
forward_tile(const Layer *layer, const Held held, local float4 *memory, float slots[OWN][SLOTS],
             float h[OWN], float c[OWN][MEMORY], int t, const Origin *first) {
  float sums[OWN][OUT];
  global const float *recurrent_input = recurrent_input_before(layer, t, 0);
  product(sums, layer, held, memory, recurrent_input, recurrent_input_stride(layer, t), first->row,
          first->unit);
  EACH_OWNED(o) {
    int n, unit;
    if (!find_owned(o, layer, first, &n, &unit)) continue;
#pragma unroll
    for (int gate = 0; gate < GATES; ++gate) {
      slots[o][RECURRENT_SLOT(gate)] += sums[o][gate];
    }
    unit_forward(layer, slots[o], &h[o], c[o], t, n, unit);
#if ALONE
    const float factor = layer->mask ? layer->mask[(size_t)n * layer->H + unit] : 1.0f;
    store_next_input(memory, h[o] * factor, n - first->row, 0, unit);
#endif
  }
}

/// Stores, in training, what the backward pass needs of a step of a tile. No group waits for it.
INLINE void keep_tile(const Layer *layer, float slots[OWN][SLOTS], float c[OWN][MEMORY], int t,
                      const Origin *first) {
  EACH_OWNED(o) {
    int n, unit;
    if (!find_owned(o, layer, first, &n, &unit)) continue;
    keep_slots(layer, slots[o], t, n, unit);
    if (HAS_MEMORY && layer->training) {
      store_memory(c[o], layer->cells + memory_offset(layer, t, n), layer->H, unit, 1);
    }
  }
}

/// All steps forward: `gates` holds x W^T + b in its first GATES slots. The last states go to h_n
/// and c_n [N, H], which may be null; of several steps they may be h_0 and c_0.
PERSISTENT_KERNEL persistent_forward(LAYER_PARAMETERS, global float *h_n, global float *c_n,
                                     volatile global int *sync, int polls) {
  local float4 memory[MEMORY4];
  Held held;
#if !ALONE
  volatile local int given_up;
#endif
  const Layer layer = LAYER;
  const int tile = get_group_id(0), tiles = get_num_groups(0);
  const int team = get_group_id(1), teams = get_num_groups(1);
  const Origin first = {team * ROWS, tile * UNITS};
  volatile global int *count = ALONE ? 0 : TEAM(sync, team);
  keep_weights(&layer, held, memory, first.unit);
#if ALONE
  begin_rows(&layer, memory, recurrent_input_before(&layer, first_step(&layer), 0), first.row);
  // What was read may be h_n, which others write.
  barrier(CLK_GLOBAL_MEM_FENCE);
#endif
  float h[OWN], c[OWN][MEMORY];
  EACH_OWNED(o) {
    int n, unit;
    const int owned = find_owned(o, &layer, &first, &n, &unit);
    h[o] = owned && h_0 ? h_0[(size_t)n * H + unit] : 0.0f;
    load_memory(c[o], owned && c_0 ? c_0 + (size_t)n * MEMORIES * H : 0, H, unit, 1);
  }
  int done = 0;
  while (done < T) {
    const int t = reverse ? T - 1 - done : done;
    float slots[OWN][SLOTS];
    begin_tile(&layer, slots, t, &first);
#if ALONE
    barrier(CLK_LOCAL_MEM_FENCE);
#else
    if (get_local_id(0) == 0 && done == 0) given_up = 0;
    if (!wait_for_team(sync, count, tiles, done, polls, &given_up)) break;
#endif
    forward_tile(&layer, held, memory, slots, h, c, t, &first);
    ++done;
    if (!ALONE) tell_team(count, tiles);
    keep_tile(&layer, slots, c, t, &first);
  }
  EACH_OWNED(o) {
    int n, unit;
    if (!find_owned(o, &layer, &first, &n, &unit)) continue;
    const size_t memory_row = (size_t)n * MEMORIES * H;
    if (HAS_MEMORY && !training) store_memory(c[o], cells + memory_row, H, unit, 1);
    if (done == T && h_n) h_n[(size_t)n * H + unit] = h[o];
    if (HAS_MEMORY && done == T && c_n) store_memory(c[o], c_n + memory_row, H, unit, 1);
  }
  if (!ALONE && get_local_id(0) == 0) PROGRESS(sync, teams)[team * tiles + tile] = done;
}

#if !ALONE
/// The steps that persistent_forward left; resets `sync` for the next launch. Global size: ITEMS.
PERSISTENT_KERNEL persistent_forward_rest(LAYER_PARAMETERS, global float *h_n, global float *c_n,
                                          volatile global int *sync, int tiles, int teams) {
  local float4 memory[MEMORY4];
  Held held;
  const Layer layer = LAYER;
  volatile global int *progress = PROGRESS(sync, teams);
  const int is_left = GAVE_UP(sync);
  for (int done = 0; done < T && is_left; ++done) {
    const int t = reverse ? T - 1 - done : done;
    for (int i = next_left(progress, 0, tiles * teams, done); i < tiles * teams;
         i = next_left(progress, i + 1, tiles * teams, done)) {
      const Origin first = {i / tiles * ROWS, i % tiles * UNITS};
      keep_weights(&layer, held, memory, first.unit);
      float slots[OWN][SLOTS], h[OWN], c[OWN][MEMORY];
      begin_tile(&layer, slots, t, &first);
      EACH_OWNED(o) {
        int n, unit;
        const int owned = find_owned(o, &layer, &first, &n, &unit);
        global const float *h_before = owned ? hidden_before(&layer, t, n) : 0;
        global const float *c_before = owned && HAS_MEMORY ? memory_before(&layer, t, n) : 0;
        h[o] = h_before ? h_before[unit] : 0.0f;
        load_memory(c[o], c_before, H, unit, 1);
      }
      forward_tile(&layer, held, memory, slots, h, c, t, &first);
      keep_tile(&layer, slots, c, t, &first);
      EACH_OWNED(o) {
        int n, unit;
        const int owned = find_owned(o, &layer, &first, &n, &unit);
        if (HAS_MEMORY && !training && owned) {
          store_memory(c[o], cells + (size_t)n * MEMORIES * H, H, unit, 1);
        }
      }
      barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    }
  }
  const int last = last_step(&layer);
  for (int i = get_local_id(0); i < N * H && is_left; i += ITEMS) {
    if (h_n) h_n[i] = layer.y[y_row_offset(&layer, last, i / H) + i % H];
  }
  if (HAS_MEMORY && c_n) {
    for (int i = get_local_id(0); i < N * MEMORIES * H && is_left; i += ITEMS) {
      c_n[i] = cells[memory_offset(&layer, last, 0) + i];
    }
  }
  forget_launch(sync, tiles, teams, is_left);
}
#endif
#else
/// The gradients of the states of a tile that this work-item owns.
typedef struct {
  float dh[OWN], dc[OWN][MEMORY];
} TileGradients;

/// Reads what step `done` backward needs of a tile.
INLINE void load_tile(UnitStep steps[OWN], float slots[OWN][SLOTS], const Layer *layer,
                      global const float *grad_y, int done, const Origin *first) {
  EACH_OWNED(o) {
    int n, unit;
    const int owned = find_owned(o, layer, first, &n, &unit);
    if (!owned || done == layer->T) continue;
    load_unit_step(&steps[o], slots[o], layer, grad_y, layer->reverse ? done : layer->T - 1 - done,
                   n, unit);
  }
}

/// Step `done` backward of a tile. `states` begin without what the products add; after the last
/// one, T, their dh is the gradient of h_0.
INLINE void
backward_tile(const Layer *layer, const Held held, local float4 *memory, UnitStep steps[OWN],
              float slots[OWN][SLOTS], TileGradients *states, int done, const Origin *first) {
  const int T = layer->T, H = layer->H;
  const int t = layer->reverse ? done : T - 1 - done, t_after = layer->reverse ? t - 1 : t + 1;
  float sums[OWN][OUT];
  global const float *after = done ? layer->gates + gates_row_offset(layer, t_after, 0) : 0;
  product(sums, layer, held, memory, after, layer->gates_stride, first->row, first->unit);
  EACH_OWNED(o) {
    int n, unit;
    if (!find_owned(o, layer, first, &n, &unit)) continue;
    states->dh[o] += layer->mask ? sums[o][0] * layer->mask[(size_t)n * H + unit] : sums[o][0];
    if (done == T) continue;
    unit_backward(layer, &steps[o], slots[o], &states->dh[o], states->dc[o], t, n, unit);
#if ALONE
#pragma unroll
    for (int gate = 0; gate < GATES; ++gate) {
      const float value = is_active(layer->lengths, t, n) ? slots[o][RECURRENT_SLOT(gate)] : 0.0f;
      store_next_input(memory, value, n - first->row, gate, unit);
    }
#endif
  }
}

/// Stores the gradients of the hidden states of a tile in `dh` [N, H].
INLINE void store_gradients(const TileGradients *states, const Layer *layer, global float *dh,
                            const Origin *first) {
  EACH_OWNED(o) {
    int n, unit;
    if (find_owned(o, layer, first, &n, &unit)) dh[(size_t)n * layer->H + unit] = states->dh[o];
  }
}

/// The gradients of a unit's states before the first step backward.
INLINE void begin_back(float *dh, float *dc, global const float *grad_h_n,
                       global const float *grad_c_n, int n, int H, int unit) {
  *dh = grad_h_n ? grad_h_n[(size_t)n * H + unit] : 0.0f;
  load_memory(dc, grad_c_n ? grad_c_n + (size_t)n * MEMORIES * H : 0, H, unit, 1);
}

/// All steps backward: `gates` holds what the forward pass kept and receives the gradients of the
/// sums. dh and dc [N, H] hold the gradients of the states in between; dc, null without cell
/// states, ends as that of c_0. grad_h_0 may be null.
PERSISTENT_KERNEL
persistent_backward(LAYER_PARAMETERS, global const float *grad_y, global const float *grad_h_n,
                    global const float *grad_c_n, global float *dh, global float *dc,
                    global float *grad_h_0, volatile global int *sync, int polls) {
  local float4 memory[MEMORY4];
  Held held;
#if !ALONE
  volatile local int given_up;
#endif
  const Layer layer = LAYER;
  const int tile = get_group_id(0), tiles = get_num_groups(0);
  const int team = get_group_id(1), teams = get_num_groups(1);
  const Origin first = {team * ROWS, tile * UNITS};
  const int end = T + (grad_h_0 ? 1 : 0);
  volatile global int *count = ALONE ? 0 : TEAM(sync, team);
  keep_weights(&layer, held, memory, first.unit);
#if ALONE
  begin_rows(&layer, memory, 0, first.row);
#endif
  TileGradients own;
  EACH_OWNED(o) {
    int n, unit;
    if (find_owned(o, &layer, &first, &n, &unit)) {
      begin_back(&own.dh[o], own.dc[o], grad_h_n, grad_c_n, n, H, unit);
    }
  }
  int done = 0;
  while (done < end) {
    UnitStep steps[OWN];
    float slots[OWN][SLOTS];
    load_tile(steps, slots, &layer, grad_y + y_offset, done, &first);
#if ALONE
    barrier(CLK_LOCAL_MEM_FENCE);
#else
    if (get_local_id(0) == 0 && done == 0) given_up = 0;
    if (!wait_for_team(sync, count, tiles, done, polls, &given_up)) break;
#endif
    backward_tile(&layer, held, memory, steps, slots, &own, done, &first);
    if (done == T) store_gradients(&own, &layer, grad_h_0, &first);
    ++done;
    if (!ALONE) tell_team(count, tiles);
  }
  EACH_OWNED(o) {
    int n, unit;
    if (!find_owned(o, &layer, &first, &n, &unit)) continue;
    dh[(size_t)n * H + unit] = own.dh[o];
    if (HAS_MEMORY) store_memory(own.dc[o], dc + (size_t)n * MEMORIES * H, H, unit, 1);
  }
  if (!ALONE && get_local_id(0) == 0) PROGRESS(sync, teams)[team * tiles + tile] = done;
}

#if !ALONE
/// The steps that persistent_backward left; resets `sync` for the next launch. Global size: ITEMS.
PERSISTENT_KERNEL
persistent_backward_rest(LAYER_PARAMETERS, global const float *grad_y, global const float *grad_h_n,
                         global const float *grad_c_n, global float *dh, global float *dc,
                         global float *grad_h_0, volatile global int *sync, int tiles, int teams) {
  local float4 memory[MEMORY4];
  Held held;
  const Layer layer = LAYER;
  volatile global int *progress = PROGRESS(sync, teams);
  const int is_left = GAVE_UP(sync), end = T + (grad_h_0 ? 1 : 0);
  for (int done = 0; done < end && is_left; ++done) {
    for (int i = next_left(progress, 0, tiles * teams, done); i < tiles * teams;
         i = next_left(progress, i + 1, tiles * teams, done)) {
      const Origin first = {i / tiles * ROWS, i % tiles * UNITS};
      keep_weights(&layer, held, memory, first.unit);
      UnitStep steps[OWN];
      float slots[OWN][SLOTS];
      TileGradients own;
      load_tile(steps, slots, &layer, grad_y + y_offset, done, &first);
      EACH_OWNED(o) {
        int n, unit;
        if (!find_owned(o, &layer, &first, &n, &unit)) continue;
        if (done == 0) {
          begin_back(&own.dh[o], own.dc[o], grad_h_n, grad_c_n, n, H, unit);
        } else {
          own.dh[o] = dh[(size_t)n * H + unit];
          load_memory(own.dc[o], dc ? dc + (size_t)n * MEMORIES * H : 0, H, unit, 1);
        }
      }
      backward_tile(&layer, held, memory, steps, slots, &own, done, &first);
      if (done == T) store_gradients(&own, &layer, grad_h_0, &first);
      EACH_OWNED(o) {
        int n, unit;
        if (!find_owned(o, &layer, &first, &n, &unit)) continue;
        dh[(size_t)n * H + unit] = own.dh[o];
        if (HAS_MEMORY) store_memory(own.dc[o], dc + (size_t)n * MEMORIES * H, H, unit, 1);
      }
      barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    }
  }
  forget_launch(sync, tiles, teams, is_left);
}
#endif
#endif
