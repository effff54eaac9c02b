// Matrix products for CPU devices: C [M, N] = A [M, K] B [K, N], one work-item to a group.
// lint: vector.cl states.cl panel.cl
//
//   pack_panels   B into panels of COLUMNS columns (panel.cl), from any strides.
//   pack_states   the hidden states before each step of a layer, as B.
//   pack_rows     A given by columns into tiles of ROWS rows, k outermost, and the sums of its
//                 rows.
//   gemm          one panel of C for a range of rows.
//
// Assumes states.cl and panel.cl before it.

/// Packs B, whose element (k, j) is b[offset + k k_stride + j j_stride]. Global size: panels.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
pack_panels(global const float *b, global float *panels, int K, int N, int offset, int k_stride,
            int j_stride) {
  const int first = get_global_id(0) * COLUMNS, count = min(COLUMNS, N - first);
  global float *panel = panels + (size_t)get_global_id(0) * K * COLUMNS;
  b += offset + (size_t)first * j_stride;
  if (j_stride == 1) {
    for (int k = 0; k < K; ++k) {
      store_vector(load_lanes(b, count), panel);
      store_vector(load_lanes(b + WIDTH, count - WIDTH), panel + WIDTH);
      b += k_stride;
      panel += COLUMNS;
    }
    return;
  }
  // The columns lie far apart: read each along k.
  for (int k0 = 0; k0 < K; k0 += PACK_DEPTH) {
    const int end = min(k0 + PACK_DEPTH, K);
    for (int j = 0; j < COLUMNS; ++j) {
      global const float *column = b + (size_t)j * j_stride;
      for (int k = k0; k < end; ++k) {
        panel[k * COLUMNS + j] = j < count ? column[(size_t)k * k_stride] : 0.0f;
      }
    }
  }
}

/// Packs the states before each step, [T N, H], into panels. Global size: panels.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
pack_states(global const float *y, global const float *h_0, global const int *lengths,
            global float *panels, int T, int N, int H, int reverse) {
  const int first = get_global_id(0) * COLUMNS, count = min(COLUMNS, H - first);
  global float *panel = panels + (size_t)get_global_id(0) * T * N * COLUMNS;
  for (int row = 0; row < T * N; ++row) {
    global const float *state = state_before(y, h_0, lengths, row / N, row % N, T, N, H, reverse);
    store_vector(state ? load_lanes(state + first, count) : (REAL)(0.0f), panel);
    store_vector(state ? load_lanes(state + first + WIDTH, count - WIDTH) : (REAL)(0.0f),
                 panel + WIDTH);
    panel += COLUMNS;
  }
}

/// The k, and the vectors of A's rows, that are packed together: pages enough for the processor to
/// remember, and enough of each k to be read as one stretch.
#define PACK_K 64
#define PACK_VECTORS 4

/// Writes the elements (m, k) of WIDTH m from `m` on, a multiple of WIDTH, where tiles hold them.
INLINE void store_in_tiles(REAL values, global float *packed, int m, int k, int K) {
  global float *tile = packed + ((size_t)(m / ROWS) * K + k) * ROWS + m % ROWS;
#if WIDTH == 16
  vstore8(values.lo, 0, tile);
  vstore8(values.hi, 0, tile + (size_t)K * ROWS);
#else
  store_vector(values, tile);
#endif
}

/// Packs the k from `k0` to `k_end` of `vectors` vectors of rows from `m` on, and adds them to the
/// rows' sums.
INLINE void pack_block(const int vectors, global const float *a, global float *packed,
                       global float *sums, int m, int k0, int k_end, int M, int K, int stride) {
  // Sums of PACK_K first, and then of those: the rounding error grows with the longer of the two.
  REAL part[PACK_VECTORS];
  for (int v = 0; v < vectors; ++v) part[v] = (REAL)(0.0f);
  for (int k = k0; k < k_end; ++k) {
    for (int v = 0; v < vectors; ++v) {
      const int row = m + v * WIDTH;
      const REAL values = load_lanes(a + (size_t)k * stride + row, M - row);
      part[v] += values;
      store_in_tiles(values, packed, row, k, K);
    }
  }
  for (int v = 0; v < vectors && sums; ++v) {
    const int row = m + v * WIDTH;
    const REAL before = k0 ? load_lanes(sums + row, M - row) : (REAL)(0.0f);
    store_lanes(before + part[v], sums + row, M - row);
  }
}

/// Packs A given by columns, element (m, k) at a[offset + k stride + m], into tiles: element (m, k)
/// of tile m / ROWS at packed[(tile K + k) ROWS + m % ROWS]. Where they are not null, sums[m] and
/// the first `count2` of sums2[offset2 + m] receive the sum of A over k; sums2 needs sums. Global
/// size: ranges of `rows_per_item` rows, a multiple of PACK_VECTORS vectors; the last tiles are
/// padded.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
pack_rows(global const float *a, global float *packed, global float *sums, global float *sums2,
          int M, int K, int stride, int offset, int offset2, int count2, int rows_per_item) {
  const int first = get_global_id(0) * rows_per_item, end = min(first + rows_per_item, M);
  a += offset;
  for (int k0 = 0; k0 < K; k0 += PACK_K) {
    const int k_end = min(k0 + PACK_K, K);
    int m = first;
    for (; m + PACK_VECTORS * WIDTH <= end; m += PACK_VECTORS * WIDTH) {
      pack_block(PACK_VECTORS, a, packed, sums, m, k0, k_end, M, K, stride);
    }
    for (; m < end; m += WIDTH) pack_block(1, a, packed, sums, m, k0, k_end, M, K, stride);
  }
  for (int m = first; m < min(end, count2) && sums2; ++m) sums2[offset2 + m] = sums[m];
}

/// The k of one pass: a tile's share of A stays in the first-level cache, that of an item's panels
/// in the second.
#ifndef DEPTH
#define DEPTH 512
#endif

/// `rows` rows of one panel of C, `count` columns from c on, over `depth` of K: begins with the
/// biases of its columns, or where `k0` is not 0 with what is there.
INLINE void
gemm_tile(int rows, global const float *a, int a_stride, int packed, global const float *panel,
          global const float *bias, global const float *bias2, global float *c, int c_stride,
          int count, int k0, int depth) {
  REAL sums[ROWS][2];
  if (k0) {
    for (int r = 0; r < rows; ++r) {
      sums[r][0] = load_lanes(c + (size_t)r * c_stride, count);
      sums[r][1] = load_lanes(c + (size_t)r * c_stride + WIDTH, count - WIDTH);
    }
  } else {
    REAL left = (REAL)(0.0f), right = (REAL)(0.0f);
    if (bias) left = load_lanes(bias, count), right = load_lanes(bias + WIDTH, count - WIDTH);
    if (bias2) left += load_lanes(bias2, count), right += load_lanes(bias2 + WIDTH, count - WIDTH);
    for (int r = 0; r < rows; ++r) sums[r][0] = left, sums[r][1] = right;
  }
  if (packed) panel_products(rows, sums, a, 1, ROWS, panel, depth);
  else panel_products(rows, sums, a, a_stride, 1, panel, depth);
  for (int r = 0; r < rows; ++r) {
    store_lanes(sums[r][0], c + (size_t)r * c_stride, count);
    store_lanes(sums[r][1], c + (size_t)r * c_stride + WIDTH, count - WIDTH);
  }
}

/// C = A B + bias + bias2; the biases [N] may be null. A is row-major with `a_stride` floats from
/// row to row, or with `packed` 1 as pack_rows left it; C begins at c_offset, with `c_stride`
/// floats a row. Global size: ranges of `panels_per_item` panels of C, ranges of `rows_per_item`
/// rows (a multiple of ROWS).
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
gemm(global const float *a, global const float *panels, global const float *bias,
     global const float *bias2, global float *c, int M, int N, int K, int a_stride, int c_stride,
     int c_offset, int panels_per_item, int rows_per_item, int packed) {
  const int left = get_global_id(0) * panels_per_item * COLUMNS;
  const int right = min(left + panels_per_item * COLUMNS, N);
  const int first = get_global_id(1) * rows_per_item, end = min(first + rows_per_item, M);
  for (int k0 = 0; k0 < K; k0 += DEPTH) {
    const int depth = min(DEPTH, K - k0);
    for (int m = first; m < end;) {
      const int rows = next_rows(end - m);
      // A packed tile has ROWS rows, of which the last ones may not be wanted.
      const size_t row = packed ? (size_t)(m / ROWS * ROWS) * K + (size_t)k0 * ROWS + m % ROWS
                                : (size_t)m * a_stride + k0;
      for (int column = left; column < right; column += COLUMNS) {
        gemm_tile(rows, a + row, a_stride, packed,
                  panels + (size_t)column * K + (size_t)k0 * COLUMNS, bias ? bias + column : bias,
                  bias2 ? bias2 + column : bias2, c + c_offset + (size_t)m * c_stride + column,
                  c_stride, N - column, k0, depth);
      }
      m += rows;
    }
  }
}
