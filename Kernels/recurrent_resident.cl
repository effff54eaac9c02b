// Strategy "resident": one launch walks all steps, its work-groups waiting for each other at each.
// lint: vector.cl activation.cl lstm.cl states.cl layer.cl unit.cl grid.cl; -D WIDTH=1 -D BACKWARD=0 -D LENGTH=256 -D ACT_0=0 -D ACT_1=0 -D ACT_2=1 -D ACT_3=0 -D ACT_4=1 -D ALPHA_0=1.0f -D BETA_0=0.0f -D ALPHA_1=1.0f -D BETA_1=0.0f -D ALPHA_2=1.0f -D BETA_2=0.0f -D ALPHA_3=1.0f -D BETA_3=0.0f -D ALPHA_4=1.0f -D BETA_4=0.0f
// lint: vector.cl activation.cl gru.cl states.cl layer.cl unit.cl grid.cl; -D WIDTH=1 -D BACKWARD=1 -D KEPT=0 -D LENGTH=256 -D AHEAD=2 -D ACT_0=0 -D ACT_1=0 -D ACT_2=1 -D ALPHA_0=1.0f -D BETA_0=0.0f -D ALPHA_1=1.0f -D BETA_1=0.0f -D ALPHA_2=1.0f -D BETA_2=0.0f -D ALPHA_3=1.0f -D BETA_3=0.0f -D ALPHA_4=1.0f -D BETA_4=0.0f
// lint: vector.cl activation.cl rnn.cl states.cl layer.cl unit.cl grid.cl; -D WIDTH=1 -D BACKWARD=0 -D ALONE=1 -D LENGTH=128 -D UNITS=128 -D ITEM_UNITS=4 -D ROWS=1 -D ITEM_ROWS=1 -D ACT_0=1 -D ALPHA_0=1.0f -D BETA_0=0.0f -D ALPHA_1=1.0f -D BETA_1=0.0f -D ALPHA_2=1.0f -D BETA_2=0.0f -D ALPHA_3=1.0f -D BETA_3=0.0f -D ALPHA_4=1.0f -D BETA_4=0.0f
// lint: vector.cl activation.cl rnn.cl states.cl layer.cl unit.cl grid.cl; -D WIDTH=1 -D BACKWARD=1 -D ALONE=1 -D LENGTH=128 -D UNITS=128 -D ITEM_UNITS=4 -D ROWS=1 -D ITEM_ROWS=1 -D ACT_0=1 -D ALPHA_0=1.0f -D BETA_0=0.0f -D ALPHA_1=1.0f -D BETA_1=0.0f -D ALPHA_2=1.0f -D BETA_2=0.0f -D ALPHA_3=1.0f -D BETA_3=0.0f -D ALPHA_4=1.0f -D BETA_4=0.0f
//
// A tile is ROWS sequences of UNITS units; its group computes it at every step, holds its states in
// registers and, with KEPT, its recurrent weights in local memory. Groups with the same sequences
// are a team: each reads what all of them wrote at the step before. Global size: ITEMS times the
// tiles of H, and the tiles of N.
//
// The product of a step is [ROWS, K] by [K, UNITS x OUT]: forward K = H with all gates of a unit,
// OUT = GATES; backward K = GATES x H, a segment of H for each gate, and OUT = 1. Both operands
// pass through local memory, PASS of K at a time, in rows along K whose float4 are permuted within
// groups of eight: work-items that read the same place of eight rows find them in different banks.
// SLICES of the work-items share each row's sums, and add up at the end in their order.
//
// Dense recurrences with P = H. Layouts as in layer.cl. What the launch left when someone gave up,
// resident_forward_rest and resident_backward_rest do: one group, tile after tile.
//
// Parameters:
//   BACKWARD                  1: the backward pass.
//   ITEMS                     work-items of a group.
//   ROWS, UNITS               the tile; UNITS a multiple of 4.
//   ITEM_ROWS, ITEM_UNITS     what a work-item sums.
//   LENGTH                    H rounded up to PASS.
//   PASS                      a multiple of 32 and of 4 SLICES.
//   AHEAD                     passes that are loaded before they are needed; divides their number.
//   KEPT                      1: the weights stay in local memory; 0: they are loaded with each
//   pass. ALIGNED                   1: H is a multiple of 4.
//
// Assumes unit.cl and grid.cl before it.

#ifndef ITEMS
#define ITEMS 256
#endif
#ifndef ROWS
#define ROWS 16
#define UNITS 8
#define ITEM_ROWS 4
#define ITEM_UNITS 1
#endif
#ifndef PASS
#define PASS 128
#endif
#ifndef AHEAD
#define AHEAD 1
#endif
#ifndef KEPT
#define KEPT 1
#endif
#ifndef ALIGNED
#define ALIGNED 1
#endif

#ifndef ALONE
#define ALONE 0
#endif

#define OUT (BACKWARD ? 1 : GATES)
#define SEGMENTS (BACKWARD ? GATES : 1)
#define COLUMNS (UNITS * OUT)
#define ITEM_COLUMNS (ITEM_UNITS * OUT)
#define PASSES (SEGMENTS * LENGTH / PASS)
#define PASS4 (PASS / 4)
#define ROW_ITEMS (ROWS / ITEM_ROWS)
#define UNIT_ITEMS (UNITS / ITEM_UNITS)
#define SLICE_ITEMS (ROW_ITEMS * UNIT_ITEMS)
#define SLICES (ITEMS / SLICE_ITEMS)
/// Units of sequences that a work-item owns.
#define OWN ((ROWS * UNITS + ITEMS - 1) / ITEMS)
/// float4 that a work-item loads for a pass.
#define ROW_LOADS ((ROWS * PASS4 + ITEMS - 1) / ITEMS)
#define COLUMN_LOADS ((COLUMNS * PASS4 + ITEMS - 1) / ITEMS)

/// Partial sums [SLICES, OUT, ROWS, UNITS], each slice shifted against the banks of the others.
#define SLICE_STRIDE (OUT * ROWS * UNITS + (SLICE_ITEMS < 32 ? SLICE_ITEMS : 0))
#define KEPT4 (KEPT ? COLUMNS * PASSES * PASS4 : 0)
/// float4 of a row of the left operand in local memory: one pass, or what is handed on.
#define ROW4 (ALONE ? PASSES * PASS4 : PASS4)
#define PASSING4 (ROWS * ROW4 + (KEPT ? 0 : COLUMNS * PASS4))
#define PARTIAL4 ((SLICES * SLICE_STRIDE + 3) / 4)
/// Partial sums lie where the passes were, unless these stay.
#define PARTIAL_BEGIN4 (KEPT4 + (ALONE ? PASSING4 : 0))
#define MEMORY4                                                                                    \
  (ALONE || PARTIAL4 > PASSING4 ? PARTIAL_BEGIN4 + PARTIAL4 : PARTIAL_BEGIN4 + PASSING4)

/// Where in a row of float4 the one at `place` lies.
#define PLACE(row, place) ((place) ^ ((row)&7))

#define RESIDENT_KERNEL kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void

/// Elements k to k + 3 of a row of `length`, zeros past its end.
INLINE float4 load_four(global const float *row, int k, int length) {
#if ALIGNED
  return k < length ? *(global const float4 *)(row + k) : (float4)(0.0f);
#else
  return (float4)(k < length ? row[k] : 0.0f, k + 1 < length ? row[k + 1] : 0.0f,
                  k + 2 < length ? row[k + 2] : 0.0f, k + 3 < length ? row[k + 3] : 0.0f);
#endif
}

/// The part of the left operand that this work-item loads for a pass: rows of `left`, `stride`
/// apart, the tile's first one first.
INLINE void load_rows(float4 values[ROW_LOADS], const Layer *layer, global const float *left,
                      int first_row, int pass) {
  const int segment = pass / (LENGTH / PASS), k0 = pass % (LENGTH / PASS) * PASS;
  const int H = layer->H, stride = BACKWARD ? SLOTS * H : H;
  const int offset = BACKWARD ? RECURRENT_SLOT(segment) * H : 0;
#pragma unroll
  for (int i = 0; i < ROW_LOADS; ++i) {
    const int e = get_local_id(0) + i * ITEMS, n = first_row + e / PASS4;
    const int inside = left && e < ROWS * PASS4 && n < layer->N;
    values[i] = (float4)(0.0f);
    if (inside) values[i] = load_four(left + (size_t)n * stride + offset, k0 + e % PASS4 * 4, H);
  }
}

/// The same of the weights: forward float4 along K, backward along the units, for the weights
/// [GATES H, H] are read along their rows in both.
INLINE void
load_columns(float4 values[COLUMN_LOADS], const Layer *layer, int first_unit, int pass) {
  const int segment = pass / (LENGTH / PASS), k0 = pass % (LENGTH / PASS) * PASS, H = layer->H;
#pragma unroll
  for (int i = 0; i < COLUMN_LOADS; ++i) {
    const int e = get_local_id(0) + i * ITEMS;
    int row, column, inside;
    if (BACKWARD) {
      const int k = k0 + e / (UNITS / 4);
      row = segment * H + k;
      column = first_unit + e % (UNITS / 4) * 4;
      inside = k < H;
    } else {
      const int unit = first_unit + e / PASS4 % UNITS;
      row = e / PASS4 / UNITS * H + unit;
      column = k0 + e % PASS4 * 4;
      inside = unit < H;
    }
    values[i] = (float4)(0.0f);
    if (inside && e < COLUMNS * PASS4) {
      values[i] = load_four(layer->weights + (size_t)row * H, column, H);
    }
  }
}

/// Writes what load_rows loaded to `tile`, the place of the pass in its rows.
INLINE void store_rows(const float4 values[ROW_LOADS], local float4 *tile) {
#pragma unroll
  for (int i = 0; i < ROW_LOADS; ++i) {
    const int e = get_local_id(0) + i * ITEMS, row = e / PASS4;
    if (e < ROWS * PASS4) tile[row * ROW4 + PLACE(row, e % PASS4)] = values[i];
  }
}

/// Writes what load_columns loaded to `tile` [COLUMNS, .. PASS ..], rows of `stride` float4.
INLINE void
store_columns(const float4 values[COLUMN_LOADS], local float4 *tile, int stride, int pass) {
#pragma unroll
  for (int i = 0; i < COLUMN_LOADS; ++i) {
    const int e = get_local_id(0) + i * ITEMS;
    if (e >= COLUMNS * PASS4) continue;
    if (BACKWARD) {
      const int k = e / (UNITS / 4), unit = e % (UNITS / 4) * 4;
      const float lanes[4] = {values[i].x, values[i].y, values[i].z, values[i].w};
#pragma unroll
      for (int lane = 0; lane < 4; ++lane) {
        const int place = pass * PASS4 + PLACE(unit + lane, k / 4);
        ((local float *)(tile + (unit + lane) * stride + place))[k % 4] = lanes[lane];
      }
    } else {
      const int column = e / PASS4;
      tile[column * stride + pass * PASS4 + PLACE(column, e % PASS4)] = values[i];
    }
  }
}

/// Puts the tile's weights where they stay.
INLINE void keep_weights(const Layer *layer, local float4 *memory, int first_unit) {
#if KEPT
  for (int pass = 0; pass < PASSES; ++pass) {
    float4 values[COLUMN_LOADS];
    load_columns(values, layer, first_unit, pass);
    store_columns(values, memory, PASSES * PASS4, pass);
  }
#endif
}

/// sums += the product of a pass, this work-item's slice of it.
INLINE void multiply_pass(float sums[ITEM_ROWS][ITEM_COLUMNS], local const float4 *rows,
                          local const float4 *columns, int stride) {
  const int slice = get_local_id(0) / SLICE_ITEMS, item = get_local_id(0) % SLICE_ITEMS;
  const int row0 = item / UNIT_ITEMS, unit0 = item % UNIT_ITEMS;
#pragma unroll
  for (int j = 0; j < PASS4 / SLICES; ++j) {
    const int place = j * SLICES + slice;
    float4 left[ITEM_ROWS];
#pragma unroll
    for (int i = 0; i < ITEM_ROWS; ++i) {
      const int row = row0 + i * ROW_ITEMS;
      left[i] = rows[row * ROW4 + PLACE(row, place)];
    }
#pragma unroll
    for (int m = 0; m < ITEM_COLUMNS; ++m) {
      const int column = m / ITEM_UNITS * UNITS + unit0 + m % ITEM_UNITS * UNIT_ITEMS;
      const float4 right = columns[column * stride + PLACE(column, place)];
#pragma unroll
      for (int i = 0; i < ITEM_ROWS; ++i) {
        float sum = sums[i][m];
        sum = fma(left[i].x, right.x, sum);
        sum = fma(left[i].y, right.y, sum);
        sum = fma(left[i].z, right.z, sum);
        sums[i][m] = fma(left[i].w, right.w, sum);
      }
    }
  }
}

#if ALONE
/// Fills the left operand of the first step from `left`, zeros where it is null.
INLINE void
begin_rows(const Layer *layer, local float4 *memory, global const float *left, int first_row) {
  for (int pass = 0; pass < PASSES; ++pass) {
    float4 values[ROW_LOADS];
    load_rows(values, layer, left, first_row, pass);
    store_rows(values, memory + KEPT4 + pass * PASS4);
  }
}

/// Hands a value of unit `unit` on to the next step's product, in segment `segment`.
INLINE void hand_on(local float4 *memory, float value, int row, int segment, int unit) {
  const int place = row * ROW4 + segment * PASS4 + PLACE(row, unit / 4);
  ((local float *)(memory + KEPT4 + place))[unit % 4] = value;
}
#endif

/// The product of the rows of `left`, zeros where it is null, or of what was handed on, with the
/// tile's weights: result[o][out] is that of the o-th unit that this work-item owns. `memory` holds
/// the kept weights. All work-items take part, after a barrier.
INLINE void product(float result[OWN][OUT], const Layer *layer, local float4 *memory,
                    global const float *left, int first_row, int first_unit) {
  local float4 *rows = memory + KEPT4, *columns = KEPT ? memory : rows + ROWS * PASS4;
  local float *partial = (local float *)(memory + PARTIAL_BEGIN4);
  float sums[ITEM_ROWS][ITEM_COLUMNS];
#pragma unroll
  for (int i = 0; i < ITEM_ROWS; ++i) {
#pragma unroll
    for (int m = 0; m < ITEM_COLUMNS; ++m) sums[i][m] = 0.0f;
  }
#if ALONE
  for (int pass = 0; pass < PASSES; ++pass) {
    multiply_pass(sums, rows + pass * PASS4, columns + pass * PASS4, PASSES * PASS4);
  }
#else
  float4 next_rows[AHEAD][ROW_LOADS];
#if !KEPT
  float4 next_columns[AHEAD][COLUMN_LOADS];
#endif
#pragma unroll
  for (int a = 0; a < AHEAD; ++a) {
    load_rows(next_rows[a], layer, left, first_row, a);
#if !KEPT
    load_columns(next_columns[a], layer, first_unit, a);
#endif
  }
  for (int first = 0; first < PASSES; first += AHEAD) {
#pragma unroll
    for (int a = 0; a < AHEAD; ++a) {
      const int pass = first + a;
      store_rows(next_rows[a], rows);
#if !KEPT
      store_columns(next_columns[a], columns, PASS4, 0);
#endif
      barrier(CLK_LOCAL_MEM_FENCE);
      if (pass + AHEAD < PASSES) {
        load_rows(next_rows[a], layer, left, first_row, pass + AHEAD);
#if !KEPT
        load_columns(next_columns[a], layer, first_unit, pass + AHEAD);
#endif
      }
      if (KEPT) multiply_pass(sums, rows, columns + pass * PASS4, PASSES * PASS4);
      else multiply_pass(sums, rows, columns, PASS4);
      barrier(CLK_LOCAL_MEM_FENCE);
    }
  }
#endif
  const int slice = get_local_id(0) / SLICE_ITEMS, item = get_local_id(0) % SLICE_ITEMS;
  const int row0 = item / UNIT_ITEMS, unit0 = item % UNIT_ITEMS;
#pragma unroll
  for (int i = 0; i < ITEM_ROWS; ++i) {
#pragma unroll
    for (int m = 0; m < ITEM_COLUMNS; ++m) {
      const int unit = unit0 + m % ITEM_UNITS * UNIT_ITEMS, row = row0 + i * ROW_ITEMS;
      partial[slice * SLICE_STRIDE + (m / ITEM_UNITS * ROWS + row) * UNITS + unit] = sums[i][m];
    }
  }
  barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
  for (int o = 0; o < OWN; ++o) {
    const int e = get_local_id(0) + o * ITEMS;
#pragma unroll
    for (int out = 0; out < OUT; ++out) {
      float sum = 0.0f;
      for (int s = 0; s < SLICES && e < ROWS * UNITS; ++s) {
        sum += partial[s * SLICE_STRIDE + out * ROWS * UNITS + e];
      }
      result[o][out] = sum;
    }
  }
}

#define EACH_OWNED(o) _Pragma("unroll") for (int o = 0; o < OWN; ++o)

/// The sequence and the unit of the o-th that this work-item owns in a tile; whether there is one.
INLINE int find_owned(int o, const Layer *layer, int first_row, int first_unit, int *n, int *unit) {
  const int e = get_local_id(0) + o * ITEMS;
  *n = first_row + e / UNITS;
  *unit = first_unit + e % UNITS;
  return e < ROWS * UNITS && *n < layer->N && *unit < layer->H;
}

#if !BACKWARD
INLINE void
begin_tile(const Layer *layer, float slots[OWN][SLOTS], int t, int first_row, int first_unit) {
  EACH_OWNED(o) {
    int n, unit;
    if (find_owned(o, layer, first_row, first_unit, &n, &unit)) {
      begin_sums(layer, slots[o], t, n, unit);
    }
  }
}

/// Step t of a tile, from what its sums begin as, h and c to the h and c after it.
INLINE void forward_tile(const Layer *layer, local float4 *memory, float slots[OWN][SLOTS],
                         float h[OWN], float c[OWN], int t, int first_row, int first_unit) {
  float sums[OWN][OUT];
  global const float *factors = factor_before(layer, t, 0);
  product(sums, layer, memory, factors, first_row, first_unit);
  EACH_OWNED(o) {
    int n, unit;
    if (!find_owned(o, layer, first_row, first_unit, &n, &unit)) continue;
#pragma unroll
    for (int gate = 0; gate < GATES; ++gate) {
      slots[o][RECURRENT_SLOT(gate)] += sums[o][gate];
    }
    unit_forward(layer, slots[o], &h[o], &c[o], t, n, unit);
#if ALONE
    const float factor = layer->mask ? layer->mask[(size_t)n * layer->H + unit] : 1.0f;
    hand_on(memory, layer->mask ? h[o] * factor : h[o], n - first_row, 0, unit);
#endif
  }
}

/// Keeps in training what the backward pass needs of a step of a tile; nobody waits for it.
INLINE void keep_tile(const Layer *layer, float slots[OWN][SLOTS], const float c[OWN], int t,
                      int first_row, int first_unit) {
  EACH_OWNED(o) {
    int n, unit;
    if (!find_owned(o, layer, first_row, first_unit, &n, &unit)) continue;
    keep_slots(layer, slots[o], t, n, unit);
    if (HAS_CELL_STATE && layer->training) {
      layer->cells[((size_t)t * layer->N + n) * layer->H + unit] = c[o];
    }
  }
}

/// All steps forward: `gates` holds x W^T + b in its first GATES slots. The last states go to h_n
/// and c_n [N, H], which may be null; of several steps they may be h_0 and c_0.
RESIDENT_KERNEL resident_forward(LAYER_PARAMETERS, global float *h_n, global float *c_n,
                                 volatile global int *sync, int polls) {
  local float4 memory[MEMORY4];
#if !ALONE
  volatile local int given_up;
#endif
  const Layer layer = LAYER;
  const int tile = get_group_id(0), tiles = get_num_groups(0);
  const int team = get_group_id(1), teams = get_num_groups(1);
  const int first_row = team * ROWS, first_unit = tile * UNITS;
  volatile global int *count = ALONE ? 0 : TEAM(sync, team);
  keep_weights(&layer, memory, first_unit);
#if ALONE
  begin_rows(&layer, memory, factor_before(&layer, first_step(&layer), 0), first_row);
#endif
  float h[OWN], c[OWN];
  EACH_OWNED(o) {
    int n, unit;
    const int owned = find_owned(o, &layer, first_row, first_unit, &n, &unit);
    h[o] = owned && h_0 ? h_0[(size_t)n * H + unit] : 0.0f;
    c[o] = owned && c_0 ? c_0[(size_t)n * H + unit] : 0.0f;
  }
  int done = 0;
  while (done < T) {
    const int t = reverse ? T - 1 - done : done;
    float slots[OWN][SLOTS];
    begin_tile(&layer, slots, t, first_row, first_unit);
#if ALONE
    barrier(CLK_LOCAL_MEM_FENCE);
#else
    if (get_local_id(0) == 0 && done == 0) given_up = 0;
    if (!wait_for_team(sync, count, tiles, done, polls, &given_up)) break;
#endif
    forward_tile(&layer, memory, slots, h, c, t, first_row, first_unit);
    ++done;
    if (!ALONE) tell_team(count, tiles);
    keep_tile(&layer, slots, c, t, first_row, first_unit);
  }
  EACH_OWNED(o) {
    int n, unit;
    if (!find_owned(o, &layer, first_row, first_unit, &n, &unit)) continue;
    const size_t state = (size_t)n * H + unit;
    if (HAS_CELL_STATE && !training) cells[state] = c[o];
    if (done == T && h_n) h_n[state] = h[o];
    if (HAS_CELL_STATE && done == T && c_n) c_n[state] = c[o];
  }
  if (!ALONE && get_local_id(0) == 0) PROGRESS(sync, teams)[team * tiles + tile] = done;
}

#if !ALONE
/// The steps that resident_forward left, and `sync` as it was. Global size: ITEMS.
RESIDENT_KERNEL resident_forward_rest(LAYER_PARAMETERS, global float *h_n, global float *c_n,
                                      volatile global int *sync, int tiles, int teams) {
  local float4 memory[MEMORY4];
  const Layer layer = LAYER;
  volatile global int *progress = PROGRESS(sync, teams);
  const int is_left = GAVE_UP(sync);
  for (int done = 0; done < T && is_left; ++done) {
    const int t = reverse ? T - 1 - done : done;
    for (int i = next_left(progress, 0, tiles * teams, done); i < tiles * teams;
         i = next_left(progress, i + 1, tiles * teams, done)) {
      const int first_row = i / tiles * ROWS, first_unit = i % tiles * UNITS;
      keep_weights(&layer, memory, first_unit);
      float slots[OWN][SLOTS], h[OWN], c[OWN];
      begin_tile(&layer, slots, t, first_row, first_unit);
      EACH_OWNED(o) {
        int n, unit;
        const int owned = find_owned(o, &layer, first_row, first_unit, &n, &unit);
        global const float *h_before = owned ? hidden_before(&layer, t, n) : 0;
        global const float *c_before = owned && HAS_CELL_STATE ? cell_before(&layer, t, n) : 0;
        h[o] = h_before ? h_before[unit] : 0.0f;
        c[o] = c_before ? c_before[unit] : 0.0f;
      }
      forward_tile(&layer, memory, slots, h, c, t, first_row, first_unit);
      keep_tile(&layer, slots, c, t, first_row, first_unit);
      EACH_OWNED(o) {
        int n, unit;
        const int owned = find_owned(o, &layer, first_row, first_unit, &n, &unit);
        if (HAS_CELL_STATE && !training && owned) cells[(size_t)n * H + unit] = c[o];
      }
      barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    }
  }
  const size_t last = (size_t)last_step(&layer) * N * H;
  for (int i = get_local_id(0); i < N * H && is_left; i += ITEMS) {
    if (h_n) h_n[i] = y[last + i];
    if (HAS_CELL_STATE && c_n) c_n[i] = cells[(training ? last : 0) + i];
  }
  forget_launch(sync, tiles, teams, is_left);
}
#endif
#else
/// Reads what the backward pass needs of a tile at the `done`-th step on its way.
INLINE void load_tile(UnitStep steps[OWN], float slots[OWN][SLOTS], const Layer *layer,
                      global const float *grad_y, int done, int first_row, int first_unit) {
  EACH_OWNED(o) {
    int n, unit;
    const int owned = find_owned(o, layer, first_row, first_unit, &n, &unit);
    if (!owned || done == layer->T) continue;
    load_unit_step(&steps[o], slots[o], layer, grad_y, layer->reverse ? done : layer->T - 1 - done,
                   n, unit);
  }
}

/// The `done`-th step of a tile on the way back; the T-th makes the gradient of h_0. `dh` and `dc`
/// are the gradients of its states but for what comes through the products.
INLINE void backward_tile(const Layer *layer, local float4 *memory, UnitStep steps[OWN],
                          float slots[OWN][SLOTS], float dh[OWN], float dc[OWN],
                          global float *grad_h_0, int done, int first_row, int first_unit) {
  const int T = layer->T, N = layer->N, H = layer->H;
  const int t = layer->reverse ? done : T - 1 - done, t_after = layer->reverse ? t - 1 : t + 1;
  float sums[OWN][OUT];
  global const float *after = done ? layer->gates + (size_t)t_after * N * SLOTS * H : 0;
  product(sums, layer, memory, after, first_row, first_unit);
  EACH_OWNED(o) {
    int n, unit;
    if (!find_owned(o, layer, first_row, first_unit, &n, &unit)) continue;
    const size_t state = (size_t)n * H + unit;
    const float gradient = (layer->mask ? sums[o][0] * layer->mask[state] : sums[o][0]) + dh[o];
    if (done == T) grad_h_0[state] = gradient;
    else unit_backward(layer, &steps[o], slots[o], gradient, &dh[o], &dc[o], t, n, unit);
#if ALONE
#pragma unroll
    for (int gate = 0; gate < GATES && done < T; ++gate) {
      const float value = is_active(layer->lengths, t, n) ? slots[o][RECURRENT_SLOT(gate)] : 0.0f;
      hand_on(memory, value, n - first_row, gate, unit);
    }
#endif
  }
}

/// The gradients of a unit's states as the way back begins.
INLINE void begin_back(float *dh, float *dc, global const float *grad_h_n,
                       global const float *grad_c_n, size_t state) {
  *dh = grad_h_n ? grad_h_n[state] : 0.0f;
  *dc = HAS_CELL_STATE && grad_c_n ? grad_c_n[state] : 0.0f;
}

/// All steps backward: `gates` holds what the forward pass kept and receives the gradients of the
/// sums. dh and dc [N, H] hold the gradients of the states in between; dc, null without cell
/// states, ends as that of c_0. grad_h_0 may be null.
RESIDENT_KERNEL
resident_backward(LAYER_PARAMETERS, global const float *grad_y, global const float *grad_h_n,
                  global const float *grad_c_n, global float *dh, global float *dc,
                  global float *grad_h_0, volatile global int *sync, int polls) {
  local float4 memory[MEMORY4];
#if !ALONE
  volatile local int given_up;
#endif
  const Layer layer = LAYER;
  const int tile = get_group_id(0), tiles = get_num_groups(0);
  const int team = get_group_id(1), teams = get_num_groups(1);
  const int first_row = team * ROWS, first_unit = tile * UNITS, end = T + (grad_h_0 ? 1 : 0);
  volatile global int *count = ALONE ? 0 : TEAM(sync, team);
  keep_weights(&layer, memory, first_unit);
#if ALONE
  begin_rows(&layer, memory, 0, first_row);
#endif
  float own_dh[OWN], own_dc[OWN];
  EACH_OWNED(o) {
    int n, unit;
    if (find_owned(o, &layer, first_row, first_unit, &n, &unit)) {
      begin_back(&own_dh[o], &own_dc[o], grad_h_n, grad_c_n, (size_t)n * H + unit);
    }
  }
  int done = 0;
  while (done < end) {
    UnitStep steps[OWN];
    float slots[OWN][SLOTS];
    load_tile(steps, slots, &layer, grad_y, done, first_row, first_unit);
#if ALONE
    barrier(CLK_LOCAL_MEM_FENCE);
#else
    if (get_local_id(0) == 0 && done == 0) given_up = 0;
    if (!wait_for_team(sync, count, tiles, done, polls, &given_up)) break;
#endif
    backward_tile(&layer, memory, steps, slots, own_dh, own_dc, grad_h_0, done, first_row,
                  first_unit);
    ++done;
    if (!ALONE) tell_team(count, tiles);
  }
  EACH_OWNED(o) {
    int n, unit;
    if (!find_owned(o, &layer, first_row, first_unit, &n, &unit)) continue;
    dh[(size_t)n * H + unit] = own_dh[o];
    if (HAS_CELL_STATE) dc[(size_t)n * H + unit] = own_dc[o];
  }
  if (!ALONE && get_local_id(0) == 0) PROGRESS(sync, teams)[team * tiles + tile] = done;
}

#if !ALONE
/// The steps that resident_backward left, and `sync` as it was. Global size: ITEMS.
RESIDENT_KERNEL
resident_backward_rest(LAYER_PARAMETERS, global const float *grad_y, global const float *grad_h_n,
                       global const float *grad_c_n, global float *dh, global float *dc,
                       global float *grad_h_0, volatile global int *sync, int tiles, int teams) {
  local float4 memory[MEMORY4];
  const Layer layer = LAYER;
  volatile global int *progress = PROGRESS(sync, teams);
  const int is_left = GAVE_UP(sync), end = T + (grad_h_0 ? 1 : 0);
  for (int done = 0; done < end && is_left; ++done) {
    for (int i = next_left(progress, 0, tiles * teams, done); i < tiles * teams;
         i = next_left(progress, i + 1, tiles * teams, done)) {
      const int first_row = i / tiles * ROWS, first_unit = i % tiles * UNITS;
      keep_weights(&layer, memory, first_unit);
      UnitStep steps[OWN];
      float slots[OWN][SLOTS];
      float own_dh[OWN], own_dc[OWN];
      load_tile(steps, slots, &layer, grad_y, done, first_row, first_unit);
      EACH_OWNED(o) {
        int n, unit;
        if (!find_owned(o, &layer, first_row, first_unit, &n, &unit)) continue;
        const size_t state = (size_t)n * H + unit;
        if (done == 0) {
          begin_back(&own_dh[o], &own_dc[o], grad_h_n, grad_c_n, state);
        } else {
          own_dh[o] = dh[state];
          own_dc[o] = HAS_CELL_STATE ? dc[state] : 0.0f;
        }
      }
      backward_tile(&layer, memory, steps, slots, own_dh, own_dc, grad_h_0, done, first_row,
                    first_unit);
      EACH_OWNED(o) {
        int n, unit;
        if (!find_owned(o, &layer, first_row, first_unit, &n, &unit)) continue;
        dh[(size_t)n * H + unit] = own_dh[o];
        if (HAS_CELL_STATE) dc[(size_t)n * H + unit] = own_dc[o];
      }
      barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    }
  }
  forget_launch(sync, tiles, teams, is_left);
}
#endif
#endif
