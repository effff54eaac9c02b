// Products of many small matrices, whatever their strides.
//
// y[b1, b2, m, n] = sum over k1, k2 of a[b1, b2, m, k1, k2] b[b1, b2, n, k1, k2]. A layout is a
// list of ints: the extents b1, b2, M, N, K1, K2, then the strides of a along b1, b2, m, k1, k2,
// those of b along b1, b2, n, k1, k2, and those of y along b1, b2, m, n. Sums run in the order of
// k.
//
// Parameters:
//   LANES   1 on CPU devices, where a work-item computes ROWS rows of a vector of columns; else
//   tiles of
//           TILE by TILE in local memory.

#include "common/vector.cl"

#ifndef LANES
#define LANES 1
#endif

#if LANES == 1
#define ROWS 4

/// `count` numbers, `stride` apart; zeros in the other lanes.
INLINE REAL load_columns(global const float *source, int stride, int count) {
  if (stride == 1) return load_lanes(source, count);
  float lanes[WIDTH];
  for (int i = 0; i < WIDTH; ++i) lanes[i] = i < count ? source[i * stride] : 0.0f;
  return VLOAD(0, lanes);
}

/// ROWS rows and a vector of columns; rows beyond the last repeat it.
OUTLINE void multiply_columns(global const float *a, global const float *b, global float *y,
                              global const int *layout, int rows, int columns) {
  const int K1 = layout[4], K2 = layout[5], am = layout[8], a1 = layout[9], a2 = layout[10];
  const int bn = layout[13], b1 = layout[14], b2 = layout[15], ym = layout[18], yn = layout[19];
  REAL sums[ROWS];
  int row[ROWS];
  for (int i = 0; i < ROWS; ++i) {
    sums[i] = (REAL)(0.0f);
    row[i] = min(i, rows - 1) * am;
  }
  for (int k1 = 0; k1 < K1; ++k1) {
    for (int k2 = 0; k2 < K2; ++k2) {
      const REAL right = load_columns(b + k1 * b1 + k2 * b2, bn, columns);
      global const float *left = a + k1 * a1 + k2 * a2;
#pragma unroll
      for (int i = 0; i < ROWS; ++i) sums[i] = fma((REAL)(left[row[i]]), right, sums[i]);
    }
  }
  for (int i = 0; i < ROWS && i < rows; ++i) {
    if (yn == 1) {
      store_lanes(sums[i], y + i * ym, columns);
    } else {
      float lanes[WIDTH];
      VSTORE(sums[i], 0, lanes);
      for (int n = 0; n < columns && n < WIDTH; ++n) y[i * ym + n * yn] = lanes[n];
    }
  }
}

/// The same where both factors lie along k2: the sum of each element is a vector's.
OUTLINE void multiply_along(global const float *a, global const float *b, global float *y,
                            global const int *layout, int rows, int columns) {
  const int K1 = layout[4], K2 = layout[5], am = layout[8], a1 = layout[9];
  const int bn = layout[13], b1 = layout[14], ym = layout[18], yn = layout[19];
  for (int m = 0; m < rows; ++m) {
    for (int n = 0; n < columns; ++n) {
      REAL sums = (REAL)(0.0f);
      for (int k1 = 0; k1 < K1; ++k1) {
        global const float *left = a + m * am + k1 * a1;
        global const float *right = b + n * bn + k1 * b1;
        for (int k2 = 0; k2 < K2; k2 += WIDTH) {
          sums = fma(load_lanes(left + k2, K2 - k2), load_lanes(right + k2, K2 - k2), sums);
        }
      }
      y[m * ym + n * yn] = sum_lanes(sums);
    }
  }
}

/// Global size: vectors of columns, ceil(M / ROWS), b1 b2.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
batch_product(global const float *a, global const float *b, global float *y,
              global const int *layout) {
  const int n = get_group_id(0) * WIDTH, m = get_group_id(1) * ROWS, batch = get_group_id(2);
  const int first = batch / layout[1], second = batch % layout[1];
  a += first * layout[6] + second * layout[7] + m * layout[8];
  b += first * layout[11] + second * layout[12] + n * layout[13];
  y += first * layout[16] + second * layout[17] + m * layout[18] + n * layout[19];
  const int rows = min(ROWS, layout[2] - m), columns = min(WIDTH, layout[3] - n);
  if (layout[10] == 1 && layout[15] == 1 && layout[13] != 1) {
    multiply_along(a, b, y, layout, rows, columns);
  } else {
    multiply_columns(a, b, y, layout, rows, columns);
  }
}

#else
#define TILE 16

/// Global size: columns and rows rounded up to TILE, b1 b2.
kernel __attribute__((reqd_work_group_size(TILE, TILE, 1))) void
batch_product(global const float *a, global const float *b, global float *y,
              global const int *layout) {
  local float left[TILE][TILE + 1], right[TILE][TILE + 1];
  const int x = get_local_id(0), z = get_local_id(1), batch = get_group_id(2);
  const int first = batch / layout[1], second = batch % layout[1];
  const int M = layout[2], N = layout[3], K2 = layout[5], K = layout[4] * K2;
  const int m0 = get_group_id(1) * TILE, n0 = get_group_id(0) * TILE;
  a += first * layout[6] + second * layout[7];
  b += first * layout[11] + second * layout[12];
  float sum = 0.0f;
  for (int k0 = 0; k0 < K; k0 += TILE) {
    const int k = k0 + x, k1 = k / K2, k2 = k % K2;
    const int m = m0 + z, n = n0 + z;
    left[z][x] = m < M && k < K ? a[m * layout[8] + k1 * layout[9] + k2 * layout[10]] : 0.0f;
    right[z][x] = n < N && k < K ? b[n * layout[13] + k1 * layout[14] + k2 * layout[15]] : 0.0f;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < TILE; ++i) sum = fma(left[z][i], right[x][i], sum);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  const int m = m0 + z, n = n0 + x;
  if (m >= M || n >= N) return;
  y += first * layout[16] + second * layout[17];
  y[m * layout[18] + n * layout[19]] = sum;
}
#endif
