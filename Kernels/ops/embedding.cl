// Embedding: rows of a table chosen by index.
//
// Layouts: weight [V, E], y [M, E], indices [M]. A work-group serves one row of the result.

#include "common/group.cl"

/// y[m, :] = weight[indices[m], :]. Global size: LANES, M.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
embedding_forward(global const int *indices, global const float *weight, global float *y, int E) {
  const int m = get_group_id(1);
  global const float *row = weight + (size_t)indices[m] * E;
  y += (size_t)m * E;
  for (int e = get_local_id(0) * WIDTH; e < E; e += LANES * WIDTH) {
    store_lanes(load_lanes(row + e, E - e), y + e, E - e);
  }
}

// grad_weight[v, :] = sum of grad_y[m, :] over all m with indices[m] = v, in an order that depends
// on nothing but the indices, so that the sum has the same bits in every run.
#if LANES == 1

/// In the order of m. Global size: 1, V.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
embedding_backward(global const int *indices, global const float *grad_y, global float *grad_weight,
                   int M, int E) {
  const int v = get_group_id(1), begin = get_local_id(0) * WIDTH;
  grad_weight += (size_t)v * E;
  for (int e = begin; e < E; e += LANES * WIDTH) {
    store_lanes((REAL)(0.0f), grad_weight + e, E - e);
  }
  for (int m = 0; m < M; ++m) {
    if (indices[m] != v) continue;
    global const float *row = grad_y + (size_t)m * E;
    for (int e = begin; e < E; e += LANES * WIDTH) {
      const REAL sum = load_lanes(grad_weight + e, E - e) + load_lanes(row + e, E - e);
      store_lanes(sum, grad_weight + e, E - e);
    }
  }
}

#else

// Columns of a work-group, and the rows of grad_y that it adds at once. Each work-item looks at
// LOOKS indices at once, and reads as many values.
#define SUM_COLUMNS 32
#define SUM_ROWS 8
#define SUM_ITEMS (SUM_COLUMNS * SUM_ROWS)
#define LOOKS 8
#define FOUND (SUM_ITEMS * LOOKS)

/// Of every FOUND indices a work-group first lists those that are v, then adds their rows: each of
/// SUM_ROWS sums every eighth, and the sums are added last. Global size: columns rounded up to
/// SUM_COLUMNS, SUM_ROWS V.
kernel __attribute__((reqd_work_group_size(SUM_COLUMNS, SUM_ROWS, 1))) void
embedding_backward(global const int *indices, global const float *grad_y, global float *grad_weight,
                   int M, int E) {
  local int4 counts[SUM_ITEMS / 4];
  local ushort found[FOUND];
  local float parts[SUM_ROWS][SUM_COLUMNS];
  const int x = get_local_id(0), y = get_local_id(1), item = y * SUM_COLUMNS + x;
  const int v = get_group_id(1), e = get_global_id(0);
  grad_y += min(e, E - 1);
  float sum = 0.0f;
  for (int m0 = 0; m0 < M; m0 += FOUND) {
    // Bit i of `hits` is that of this work-item's index i.
    const int first = item * LOOKS;
    int hits = 0;
#pragma unroll
    for (int i = 0; i < LOOKS; ++i) {
      const int m = m0 + first + i;
      if (m < M && indices[m] == v) hits |= 1 << i;
    }
    ((local int *)counts)[item] = popcount(hits);
    barrier(CLK_LOCAL_MEM_FENCE);
    int place = 0, total = 0;
    for (int i = 0; i < SUM_ITEMS / 4; ++i) {
      const int4 count = counts[i];
      const int before = item - 4 * i;
      place += (before > 0 ? count.s0 : 0) + (before > 1 ? count.s1 : 0);
      place += (before > 2 ? count.s2 : 0) + (before > 3 ? count.s3 : 0);
      total += count.s0 + count.s1 + count.s2 + count.s3;
    }
    for (int i = 0; i < LOOKS; ++i) {
      if (hits >> i & 1) found[place++] = first + i;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i0 = y; i0 < total; i0 += SUM_ROWS * LOOKS) {
      // All of them are on their way before the first is added; those past the last are zeros.
      float values[LOOKS];
#pragma unroll
      for (int i = 0; i < LOOKS; ++i) {
        const int at = i0 + i * SUM_ROWS;
        values[i] = at < total ? grad_y[(size_t)(m0 + found[at]) * E] : 0.0f;
      }
#pragma unroll
      for (int i = 0; i < LOOKS; ++i) sum += values[i];
    }
  }
  parts[y][x] = sum;
  barrier(CLK_LOCAL_MEM_FENCE);
  if (y > 0 || e >= E) return;
  float all = 0.0f;
  for (int i = 0; i < SUM_ROWS; ++i) all += parts[i][x];
  grad_weight[(size_t)v * E + e] = all;
}
#endif
