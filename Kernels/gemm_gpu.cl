// Matrix products for GPUs: tiles of C through local memory, one work-item to MICRO x MICRO sums.
// lint:
//
// Parameters:
//   TILE    rows and columns of C of one work-group.
//   MICRO   rows and columns of one work-item; the work-group is (TILE / MICRO) squared.
//   DEPTH   k per pass through local memory.

#ifndef TILE
#define TILE 64
#endif
#ifndef MICRO
#define MICRO 4
#endif
#ifndef DEPTH
#define DEPTH 16
#endif
#define SIDE (TILE / MICRO)

/// C [M, N] = A B + bias + bias2; the biases [N] may be null.
///
/// Element (m, k) of A is a[a_offset + m a_row + k a_column], (k, n) of B is b[b_offset +
/// k b_row + n b_column], (m, n) of C is c[c_offset + m c_row + n]. Neighbouring work-items load
/// neighbouring elements along the dimension of stride 1. Global size: columns of C, rows of C,
/// each rounded up to tiles and divided by MICRO.
kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1))) void
gemm_tiled(global const float *a, global const float *b, global const float *bias,
           global const float *bias2, global float *c, int M, int N, int K, int a_offset, int a_row,
           int a_column, int b_offset, int b_row, int b_column, int c_offset, int c_row) {
  // One column of padding keeps a column's elements in different banks.
  local float a_tile[DEPTH][TILE + 1], b_tile[DEPTH][TILE + 1];
  const int x = get_local_id(0), y = get_local_id(1), item = y * SIDE + x;
  const int row = get_group_id(1) * TILE, column = get_group_id(0) * TILE;
  float sums[MICRO][MICRO];
  for (int i = 0; i < MICRO; ++i) {
    for (int j = 0; j < MICRO; ++j) sums[i][j] = 0.0f;
  }
  for (int k0 = 0; k0 < K; k0 += DEPTH) {
    for (int e = item; e < TILE * DEPTH; e += SIDE * SIDE) {
      const int ak = a_column == 1 ? e % DEPTH : e / TILE,
                am = a_column == 1 ? e / DEPTH : e % TILE;
      const int bk = b_row == 1 ? e % DEPTH : e / TILE, bn = b_row == 1 ? e / DEPTH : e % TILE;
      const int m = row + am, n = column + bn;
      a_tile[ak][am] = m < M && k0 + ak < K
                           ? a[a_offset + (size_t)m * a_row + (size_t)(k0 + ak) * a_column]
                           : 0.0f;
      b_tile[bk][bn] = n < N && k0 + bk < K
                           ? b[b_offset + (size_t)(k0 + bk) * b_row + (size_t)n * b_column]
                           : 0.0f;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int k = 0; k < DEPTH; ++k) {
      float left[MICRO], right[MICRO];
      for (int i = 0; i < MICRO; ++i) left[i] = a_tile[k][y + i * SIDE];
      for (int j = 0; j < MICRO; ++j) right[j] = b_tile[k][x + j * SIDE];
      for (int i = 0; i < MICRO; ++i) {
        for (int j = 0; j < MICRO; ++j) sums[i][j] = fma(left[i], right[j], sums[i][j]);
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  for (int i = 0; i < MICRO; ++i) {
    for (int j = 0; j < MICRO; ++j) {
      const int m = row + y + i * SIDE, n = column + x + j * SIDE;
      if (m < M && n < N) {
        float value = sums[i][j];
        if (bias) value += bias[n];
        if (bias2) value += bias2[n];
        c[c_offset + (size_t)m * c_row + n] = value;
      }
    }
  }
}

/// sums[n] and the first `count2` of sums2[offset2 + n], where not null, = sum over m of
/// a[offset + m stride + n]. Global size: columns.
kernel void column_sums(global const float *a, global float *sums, global float *sums2, int M,
                        int stride, int offset, int offset2, int count2) {
  const int n = get_global_id(0);
  float total = 0.0f;
  for (int m0 = 0; m0 < M; m0 += 64) {
    float part = 0.0f;
    for (int m = m0; m < min(m0 + 64, M); ++m) part += a[offset + (size_t)m * stride + n];
    total += part;
  }
  if (sums) sums[n] = total;
  if (sums2 && n < count2) sums2[offset2 + n] = total;
}
