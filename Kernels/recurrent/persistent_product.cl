// The recurrent product of a tile of persistent.cl, through local memory.
//
// The product of a step is [ROWS, K] by [K, UNITS x OUT]: forward K = H with all gates of a unit,
// OUT = GATES; backward K = GATES x H, a segment of H for each gate, and OUT = 1. Both operands
// pass through local memory, PASS of K at a time, in rows along K whose float4 are permuted within
// groups of eight: work-items that read the same place of eight rows find them in different banks.
// SLICES of the work-items share each row's sums, and add up at the end in their order.
//
// Parameters:
//   BACKWARD                1: the backward pass.
//   ITEMS                   work-items of a group.
//   ROWS, UNITS             the tile; UNITS a multiple of 4.
//   ITEM_ROWS, ITEM_UNITS   what a work-item sums.
//   PRECISION               as in matrix_units.cl; not 0, warps sum blocks on matrix units:
//   WARP_ROWS, WARP_COLUMNS what a warp sums, multiples of 16 and 8, the columns being UNITS for
//                           each of OUT, at most 64.
//   LENGTH                  H rounded up to PASS.
//   PASS                    a multiple of 32 and of 4 SLICES, with PRECISION of 16 SLICES.
//   AHEAD                   passes that are loaded before their turn; divides their number.
//   KEPT                    1: the weights stay in local memory; 0: they are loaded at each pass.
//   HELD                    1: the weights stay in registers, of a tile that is ALONE; then KEPT
//                           is 0.
//   ALIGNED                 1: H is a multiple of 4.
//   ALONE                   1: the tile has all units, PASS is LENGTH and the weights are kept or
//                           held; what the next step reads stays in local memory, and no group
//                           waits.

#include "gemm/matrix_units.cl"
#include "recurrent/layer.cl"

#ifndef ITEMS
#define ITEMS 256
#endif
#ifndef ROWS
#define ROWS 16
#define UNITS 8
#define ITEM_ROWS 4
#define ITEM_UNITS 1
#endif
#ifndef WARP_ROWS
#define WARP_ROWS 16
#define WARP_COLUMNS 8
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
#ifndef HELD
#define HELD 0
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
#if PRECISION
#define COLUMN_WARPS (COLUMNS / WARP_COLUMNS)
#define SLICE_ITEMS (ROWS / WARP_ROWS * COLUMN_WARPS * 32)
#else
#define ROW_ITEMS (ROWS / ITEM_ROWS)
#define UNIT_ITEMS (UNITS / ITEM_UNITS)
#define SLICE_ITEMS (ROW_ITEMS * UNIT_ITEMS)
#endif
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
#define PASSING4 (ROWS * ROW4 + (KEPT || HELD ? 0 : COLUMNS * PASS4))
#define PARTIAL4 ((SLICES * SLICE_STRIDE + 3) / 4)
/// Partial sums lie where the passes were, unless these stay.
#define PARTIAL_BEGIN4 (KEPT4 + (ALONE ? PASSING4 : 0))
#define MEMORY4                                                                                    \
  (ALONE || PARTIAL4 > PASSING4 ? PARTIAL_BEGIN4 + PARTIAL4 : PARTIAL_BEGIN4 + PASSING4)

/// Elements k to k + 3 of a row of `length`, zeros past its end.
INLINE float4 load_four(global const float *row, int k, int length) {
#if ALIGNED
  return k < length ? *(global const float4 *)(row + k) : (float4)(0.0f);
#else
  return (float4)(k < length ? row[k] : 0.0f, k + 1 < length ? row[k + 1] : 0.0f,
                  k + 2 < length ? row[k + 2] : 0.0f, k + 3 < length ? row[k + 3] : 0.0f);
#endif
}

/// What this work-item loads of the left operand for a pass: rows of `left`, `stride` apart, from
/// the first row of the tile on.
INLINE void load_rows(float4 values[ROW_LOADS], const Layer *layer, global const float *left,
                      int stride, int first_row, int pass) {
  const int segment = pass / (LENGTH / PASS), k0 = pass % (LENGTH / PASS) * PASS;
  const int H = layer->H;
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

/// Writes what load_rows loaded to `tile`, where the pass begins in its rows.
INLINE void store_rows(const float4 values[ROW_LOADS], local float4 *tile) {
#pragma unroll
  for (int i = 0; i < ROW_LOADS; ++i) {
    const int e = get_local_id(0) + i * ITEMS, row = e / PASS4;
    if (e < ROWS * PASS4) tile[row * ROW4 + PLACE(row, e % PASS4)] = round_four(values[i]);
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
        const int offset = pass * PASS4 + PLACE(unit + lane, k / 4);
        ((local float *)(tile + (unit + lane) * stride + offset))[k % 4] =
            round_stored(lanes[lane]);
      }
    } else {
      const int column = e / PASS4;
      tile[column * stride + pass * PASS4 + PLACE(column, e % PASS4)] = round_four(values[i]);
    }
  }
}

/// Weights that a work-item holds: for each pass what multiply_pass reads of them, in its order.
#define HELD_PASS (HELD ? PASS4 / SLICES * ITEM_COLUMNS : 0)
typedef float4 Held[HELD ? PASSES * HELD_PASS : 1];

/// The unit of the m-th sum of a work-item, from that of its first on.
#define ITEM_UNIT(unit0, m) ((unit0) + (m) % ITEM_UNITS * UNIT_ITEMS)

/// Puts the tile's weights where they stay.
INLINE void keep_weights(const Layer *layer, Held held, local float4 *memory, int first_unit) {
#if HELD
  const int slice = get_local_id(0) / SLICE_ITEMS, H = layer->H;
  const int unit0 = first_unit + get_local_id(0) % SLICE_ITEMS % UNIT_ITEMS;
#pragma unroll
  for (int i = 0; i < PASSES * HELD_PASS; ++i) {
    const int m = i % ITEM_COLUMNS, unit = ITEM_UNIT(unit0, m);
    const int segment = i / HELD_PASS, k = (i % HELD_PASS / ITEM_COLUMNS * SLICES + slice) * 4;
    global const float *weights = layer->weights + (size_t)unit;
    held[i] = (float4)(0.0f);
    if (unit >= H) continue;
    if (!BACKWARD) {
      held[i] = load_four(layer->weights + (size_t)(m / ITEM_UNITS * H + unit) * H, k, H);
    } else {
      weights += (size_t)(segment * H + k) * H;
      held[i] = (float4)(k < H ? weights[0] : 0.0f, k + 1 < H ? weights[H] : 0.0f,
                         k + 2 < H ? weights[2 * H] : 0.0f, k + 3 < H ? weights[3 * H] : 0.0f);
    }
  }
#elif KEPT
  for (int pass = 0; pass < PASSES; ++pass) {
    float4 values[COLUMN_LOADS];
    load_columns(values, layer, first_unit, pass);
    store_columns(values, memory, PASSES * PASS4, pass);
  }
#endif
}

#if PRECISION
/// The sums of a work-item, in blocks of its warp.
typedef float4 Sums[WARP_ROWS / 16 * (WARP_COLUMNS / 8)];

/// sums += the product of a pass, this warp's slice of it.
INLINE void multiply_pass(Sums sums, local const float4 *rows, const float4 *held,
                          local const float4 *columns, int stride) {
  const int slice = get_local_id(0) / SLICE_ITEMS, warp = get_local_id(0) % SLICE_ITEMS / 32;
#pragma unroll 2
  for (int j = 0; j < PASS4 / 4 / SLICES; ++j) {
    const int eights = j * SLICES / 2 * 8, first4 = j * SLICES % 2 * 4 + slice * 4;
    const MatrixOperand left = {rows + eights, ROW4, 1, warp / COLUMN_WARPS * WARP_ROWS};
    const MatrixOperand right = {columns + eights, stride, 1, warp % COLUMN_WARPS * WARP_COLUMNS};
    multiply_blocks(sums, WARP_ROWS / 16, WARP_COLUMNS / 8, &left, &right, first4);
  }
}

/// Puts the sums where all slices' are added, [OUT, ROWS, UNITS].
INLINE void store_sums(const Sums sums, local float *partial) {
  const int warp = get_local_id(0) % SLICE_ITEMS / 32, lane = get_local_id(0) % 32;
#pragma unroll
  for (int i = 0; i < WARP_ROWS / 16 * (WARP_COLUMNS / 8); ++i) {
    const int row = warp / COLUMN_WARPS * WARP_ROWS + i / (WARP_COLUMNS / 8) * 16 + lane / 4;
    const int column =
        warp % COLUMN_WARPS * WARP_COLUMNS + i % (WARP_COLUMNS / 8) * 8 + lane % 4 * 2;
    local float *target = partial + (column / UNITS * ROWS + row) * UNITS + column % UNITS;
    *(local float2 *)target = sums[i].xy;
    *(local float2 *)(target + 8 * UNITS) = sums[i].zw;
  }
}
#else
/// The sums of a work-item.
typedef float Sums[ITEM_ROWS * ITEM_COLUMNS];

/// sums += the product of a pass, this work-item's slice of it.
INLINE void multiply_pass(Sums sums, local const float4 *rows, const float4 *held,
                          local const float4 *columns, int stride) {
  const int slice = get_local_id(0) / SLICE_ITEMS, item = get_local_id(0) % SLICE_ITEMS;
  const int row0 = item / UNIT_ITEMS, unit0 = item % UNIT_ITEMS;
#pragma unroll
  for (int j = 0; j < PASS4 / SLICES; ++j) {
    // Places in whole groups of eight, and what is left: compilers see that few of them differ.
    const int eights = j * SLICES / 8 * 8, at = j * SLICES % 8 + slice;
    float4 left[ITEM_ROWS];
#pragma unroll
    for (int i = 0; i < ITEM_ROWS; ++i) {
      const int row = row0 + i * ROW_ITEMS;
      left[i] = rows[row * ROW4 + eights + PLACE(row0 + i * ROW_ITEMS % 8, at)];
    }
#pragma unroll
    for (int m = 0; m < ITEM_COLUMNS; ++m) {
      const int column = m / ITEM_UNITS * UNITS + ITEM_UNIT(0, m);
      const int column_at = eights + PLACE(unit0 + column % 8, at);
      const float4 right =
          HELD ? held[j * ITEM_COLUMNS + m] : columns[(unit0 + column) * stride + column_at];
#pragma unroll
      for (int i = 0; i < ITEM_ROWS; ++i) {
        float sum = sums[i * ITEM_COLUMNS + m];
        sum = fma(left[i].x, right.x, sum);
        sum = fma(left[i].y, right.y, sum);
        sum = fma(left[i].z, right.z, sum);
        sums[i * ITEM_COLUMNS + m] = fma(left[i].w, right.w, sum);
      }
    }
  }
}

/// Puts the sums where all slices' are added, [OUT, ROWS, UNITS].
INLINE void store_sums(const Sums sums, local float *partial) {
  const int item = get_local_id(0) % SLICE_ITEMS;
  const int row0 = item / UNIT_ITEMS, unit0 = item % UNIT_ITEMS;
#pragma unroll
  for (int i = 0; i < ITEM_ROWS; ++i) {
#pragma unroll
    for (int m = 0; m < ITEM_COLUMNS; ++m) {
      const int unit = ITEM_UNIT(unit0, m), row = row0 + i * ROW_ITEMS;
      partial[(m / ITEM_UNITS * ROWS + row) * UNITS + unit] = sums[i * ITEM_COLUMNS + m];
    }
  }
}
#endif

#if ALONE
/// Fills the left operand of the first step from `left` [N, H], zeros where it is null.
INLINE void
begin_rows(const Layer *layer, local float4 *memory, global const float *left, int first_row) {
  for (int pass = 0; pass < PASSES; ++pass) {
    float4 values[ROW_LOADS];
    load_rows(values, layer, left, layer->H, first_row, pass);
    store_rows(values, memory + KEPT4 + pass * PASS4);
  }
}

/// Stores a value of a unit where the next step's product reads it, in segment `segment`.
INLINE void store_next_input(local float4 *memory, float value, int row, int segment, int unit) {
  const int offset = row * ROW4 + segment * PASS4 + PLACE(row, unit / 4);
  ((local float *)(memory + KEPT4 + offset))[unit % 4] = round_stored(value);
}
#endif

/// The sums of all slices for the units that this work-item owns.
INLINE void add_slices(float result[OWN][OUT], local const float *partial) {
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

/// The product of the tile's weights with the rows of `left`, `stride` apart and zeros where it is
/// null, or with what store_next_input stored: result[o][out] is that of the o-th unit that this
/// work-item owns. `memory` holds the kept weights. All work-items take part, after a barrier.
INLINE void
product(float result[OWN][OUT], const Layer *layer, const Held held, local float4 *memory,
        global const float *left, int stride, int first_row, int first_unit) {
  local float4 *rows = memory + KEPT4, *columns = KEPT ? memory : rows + ROWS * PASS4;
  local float *partial = (local float *)(memory + PARTIAL_BEGIN4);
  Sums sums;
#pragma unroll
  for (int i = 0; i < (int)(sizeof sums / sizeof sums[0]); ++i) sums[i] = 0.0f;
#if ALONE
#if HELD
#pragma unroll
#endif
  for (int pass = 0; pass < PASSES; ++pass) {
    multiply_pass(sums, rows + pass * PASS4, held + pass * HELD_PASS, columns + pass * PASS4,
                  PASSES * PASS4);
  }
#else
  float4 next_rows[AHEAD][ROW_LOADS];
#if !KEPT
  float4 next_columns[AHEAD][COLUMN_LOADS];
#endif
#pragma unroll
  for (int a = 0; a < AHEAD; ++a) {
    load_rows(next_rows[a], layer, left, stride, first_row, a);
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
        load_rows(next_rows[a], layer, left, stride, first_row, pass + AHEAD);
#if !KEPT
        load_columns(next_columns[a], layer, first_unit, pass + AHEAD);
#endif
      }
      if (KEPT) multiply_pass(sums, rows, held, columns + pass * PASS4, PASSES * PASS4);
      else multiply_pass(sums, rows, held, columns, PASS4);
      barrier(CLK_LOCAL_MEM_FENCE);
    }
  }
#endif
  store_sums(sums, partial + get_local_id(0) / SLICE_ITEMS * SLICE_STRIDE);
  barrier(CLK_LOCAL_MEM_FENCE);
  add_slices(result, partial);
}
