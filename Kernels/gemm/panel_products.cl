// Matrix products for CPU devices: C [M, N] = A [M, K] B [K, N], one work-item to a group.
//
//   pack_panels   B into panels of COLUMNS columns (panel.cl), from any strides.
//   gemm          some panels of C for a range of rows.

#include "gemm/panel.cl"

/// Packs B, whose element (k, j) is b[offset + k k_stride + j j_stride]. Global size: panels.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
pack_panels(global const float *b, global Packed *panels, int K, int N, int offset, int k_stride,
            int j_stride) {
  const int first = get_global_id(0) * COLUMNS, count = min(COLUMNS, N - first);
  global Packed *panel = panels + (size_t)get_global_id(0) * K * COLUMNS;
  b += offset + (size_t)first * j_stride;
  if (j_stride == 1) {
    for (int k = 0; k < K; ++k) {
      store_packed(load_lanes(b, count), panel);
      store_packed(load_lanes(b + WIDTH, count - WIDTH), panel + WIDTH);
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
        store_element(j < count ? column[(size_t)k * k_stride] : 0.0f, panel + k * COLUMNS + j);
      }
    }
  }
}

/// Some rows of one panel of C, of which `count` columns are there from c on, over `depth` of K
/// from `k0` on; `bias` and `bias2` are those of its columns, or null; whether it is one row alone.
typedef struct {
  global const float *a, *bias, *bias2;
  global const Packed *panel, *ahead;
  global float *c;
  int alone, a_stride, c_stride, count, k0, depth;
} Tile;

/// A tile of `rows` rows: begins with the biases, or where `k0` is not 0 with what is there. What
/// of `ahead` is fetched is said at panel_product.
INLINE void gemm_tile(int rows, const Tile *tile) {
  REAL sums[ROWS][2];
  const int count = tile->count;
  global const float *bias = tile->k0 ? 0 : tile->bias, *bias2 = tile->k0 ? 0 : tile->bias2;
  REAL left = (REAL)(0.0f), right = (REAL)(0.0f);
  if (bias) left = load_lanes(bias, count), right = load_lanes(bias + WIDTH, count - WIDTH);
  if (bias2) left += load_lanes(bias2, count), right += load_lanes(bias2 + WIDTH, count - WIDTH);
  for (int r = 0; r < ROWS; ++r) sums[r][0] = left, sums[r][1] = right;
  if (tile->k0) load_tile(rows, sums, tile->c, tile->c_stride, count);
  panel_products(rows, tile->alone, sums, tile->a, tile->a_stride, tile->panel, tile->depth,
                 tile->ahead);
  store_tile(rows, sums, tile->c, tile->c_stride, count);
}

/// C = A B + bias + bias2; the biases [N] may be null. A is row-major with `a_stride` floats from
/// row to row, C with `c_stride`. Global size: ranges of `panels_per_item` panels of C, ranges of
/// `rows_per_item` rows.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
gemm(global const float *a, global const Packed *panels, global const float *bias,
     global const float *bias2, global float *c, int M, int N, int K, int a_stride, int c_stride,
     int panels_per_item, int rows_per_item) {
  const int left = get_global_id(0) * panels_per_item * COLUMNS;
  const int right = min(left + panels_per_item * COLUMNS, N);
  const int first = get_global_id(1) * rows_per_item, end = min(first + rows_per_item, M);
  const int alone = multiplies_alone(M, K), pass = alone ? K : pass_depth(K);
  for (int k0 = 0; k0 < K; k0 += pass) {
    const int depth = min(pass, K - k0);
    global const Packed *next =
        next_panels(panels, left / COLUMNS, right < N ? right / COLUMNS : 0, k0 + depth, K);
    for (int m = first; m < end;) {
      const int rows = next_rows(end - m, alone);
      global const float *row = a + (size_t)m * a_stride + k0;
      for (int column = left; column < right; column += COLUMNS) {
        global const Packed *panel = panels + (size_t)column * K + (size_t)k0 * COLUMNS;
        // Where the rows do not follow each other, but for a little, what is there already.
        global const float *rows_ahead = a_stride - depth <= depth / 8
                                             ? row + (size_t)rows * a_stride
                                             : (global const float *)panel;
        global float *target = c + (size_t)m * c_stride + column;
        if (column + COLUMNS < right) fetch_tile(rows, target + COLUMNS, c_stride);
        else fetch_tile(rows, target + left - column + (size_t)rows * c_stride, c_stride);
        global const Packed *ahead = item_ahead((column - left) / COLUMNS, (m - first) / CALL_ROWS,
                                                panels_per_item, rows_ahead, next, K, depth);
        const Tile tile = {.a = row,
                           .bias = bias ? bias + column : bias,
                           .bias2 = bias2 ? bias2 + column : bias2,
                           .panel = panel,
                           .ahead = ahead,
                           .c = target,
                           .alone = alone,
                           .a_stride = a_stride,
                           .c_stride = c_stride,
                           .count = N - column,
                           .k0 = k0,
                           .depth = depth};
        gemm_tile(rows, &tile);
      }
      m += rows;
    }
  }
}
