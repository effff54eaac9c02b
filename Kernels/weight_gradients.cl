// The gradients of weights on CPU devices: products over all steps, of the gradients that reach a
// layer's sums with what the weights met. One work-item to a group.
// lint: vector.cl states.cl panel.cl
//
// For each row k of K, the steps of all sequences, there are M gradients; x [K, C] are the inputs,
// and h [K, H] the states before each step, whose products may each leave out some columns of the
// gradients:
//
//   weight_ih = gradients^T x      bias_ih = the sums of the gradients over K
//   weight_hh = gradients^T h      bias_hh = the same
//
//   pack_gradients     the gradients into tiles of ROWS columns, k outermost, their sums, and x and
//                      h into panels (panel.cl).
//   weight_gradients   some panels of the products for a range of rows.
//
// Element (k, m) of the gradients is at tiles[(m / ROWS K + k) ROWS + m % ROWS].
//
// Assumes states.cl and panel.cl before it.

/// The k, and the vectors of columns, that are packed together: pages enough for the processor to
/// remember, and enough of each k to be read as one stretch.
#define PACK_K 64
#define PACK_VECTORS 4
/// How many k ahead a line is fetched.
#define PACK_AHEAD 8

/// Where the columns of the gradients go in what is made of them: see place_of.
#define PLACES                                                                                     \
  int first_ih, int skipped_ih, int resumed_ih, int first_hh, int skipped_hh, int resumed_hh

/// Writes the gradients of WIDTH columns from `m` on, a multiple of WIDTH, where tiles hold them.
INLINE void store_in_tiles(REAL values, global float *tiles, int m, int k, int K) {
  global float *tile = tiles + ((size_t)(m / ROWS) * K + k) * ROWS + m % ROWS;
#if WIDTH == 16
  vstore8(values.lo, 0, tile);
  vstore8(values.hi, 0, tile + (size_t)K * ROWS);
#else
  store_vector(values, tile);
#endif
}

/// Packs the k from `k0` to `k_end` of `vectors` vectors of columns from `m` on, and adds them to
/// the columns' sums.
INLINE void pack_block(const int vectors, global const float *a, global float *tiles,
                       global float *sums, int m, int k0, int k_end, int M, int K, int stride) {
  // Sums of PACK_K first, and then of those: the rounding error grows with the longer of the two.
  REAL part[PACK_VECTORS];
  for (int v = 0; v < vectors; ++v) part[v] = (REAL)(0.0f);
  for (int k = k0; k < k_end; ++k) {
    for (int v = 0; v < vectors; ++v) {
      const int column = m + v * WIDTH;
      fetch(a + (size_t)min(k + PACK_AHEAD, K - 1) * stride + column);
      const REAL values = load_lanes(a + (size_t)k * stride + column, M - column);
      part[v] += values;
      store_in_tiles(values, tiles, column, k, K);
    }
  }
  for (int v = 0; v < vectors && sums; ++v) {
    const int column = m + v * WIDTH;
    const REAL before = k0 ? load_lanes(sums + column, M - column) : (REAL)(0.0f);
    store_lanes(before + part[v], sums + column, M - column);
  }
}

/// One row of `columns` columns, or zeros where it is null, as row k of its panels.
INLINE void pack_row(global const float *row, int columns, global float *panels, int k, int K) {
  for (int column = 0; column < columns; column += WIDTH) {
    const int panel = column / COLUMNS;
    store_vector(row ? load_lanes(row + column, columns - column) : (REAL)(0.0f),
                 panels + ((size_t)panel * K + k) * COLUMNS + column % COLUMNS);
  }
  // The half of the last panel that has no column.
  if ((columns + WIDTH - 1) / WIDTH % 2) {
    store_vector((REAL)(0.0f), panels + ((size_t)(columns / COLUMNS) * K + k) * COLUMNS + WIDTH);
  }
}

/// Packs the gradients a[offset + k stride + m], whose last tiles are padded, and sums them over k:
/// where they are not null, `sums` [M], and bias_ih and bias_hh at the columns' places. x [T N, C],
/// or nothing with C 0; the states of y [T, N, H], or nothing with H 0; h's panels follow those of
/// x. Global size: shares, each of `columns_per_item` columns, a multiple of PACK_VECTORS vectors,
/// and of an equal part of K.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
pack_gradients(global const float *a, int M, int stride, int offset, int columns_per_item,
               global float *tiles, global float *sums, global float *bias_ih,
               global float *bias_hh, global const float *x, int C, global const float *y,
               global const float *h_0, global const int *lengths, int H, int T, int N, int reverse,
               global float *panels, PLACES) {
  const int K = T * N, item = get_global_id(0), items = get_global_size(0);
  global float *state_panels = panels + (size_t)((C + COLUMNS - 1) / COLUMNS) * K * COLUMNS;
  const int k_end = (int)((long)K * (item + 1) / items);
  for (int k = (int)((long)K * item / items); k < k_end; ++k) {
    if (C) pack_row(x + (size_t)k * C, C, panels, k, K);
    if (H) {
      pack_row(state_before(y, h_0, lengths, k / N, k % N, T, N, H, reverse), H, state_panels, k,
               K);
    }
  }
  const int first = item * columns_per_item, end = min(first + columns_per_item, M);
  a += offset;
  for (int k0 = 0; k0 < K; k0 += PACK_K) {
    const int block_end = min(k0 + PACK_K, K);
    int m = first;
    for (; m + PACK_VECTORS * WIDTH <= end; m += PACK_VECTORS * WIDTH) {
      pack_block(PACK_VECTORS, a, tiles, sums, m, k0, block_end, M, K, stride);
    }
    for (; m < end; m += WIDTH) pack_block(1, a, tiles, sums, m, k0, block_end, M, K, stride);
  }
  for (int m = first; m < end && sums; ++m) {
    const int place_ih = place_of(m, first_ih, skipped_ih, resumed_ih);
    const int place_hh = place_of(m, first_hh, skipped_hh, resumed_hh);
    if (bias_ih && place_ih >= 0) bias_ih[place_ih] = sums[m];
    if (bias_hh && place_hh >= 0) bias_hh[place_hh] = sums[m];
  }
}

/// `value` where it is behind m, else `end`.
INLINE int next_edge(int m, int value, int end) { return value > m ? min(value, end) : end; }

/// weight_ih and weight_hh, whose rows are the columns' places, from what pack_gradients left.
/// Global size: ranges of `panels_per_item` panels, and ranges of `rows_per_item` columns of the
/// gradients dealt out to hands: the ranges of a hand, the hands. A product may leave out whole
/// ranges, and PoCL gives a thread many work-items that follow each other.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
weight_gradients(global const float *tiles, global const float *panels, int M, int K,
                 global float *weight_ih, int C, global float *weight_hh, int H,
                 int panels_per_item, int rows_per_item, PLACES) {
  const int input_panels = (C + COLUMNS - 1) / COLUMNS;
  const int count = input_panels + (H + COLUMNS - 1) / COLUMNS;
  const int left = get_global_id(0) * panels_per_item, right = min(left + panels_per_item, count);
  const int range = get_global_id(1) * get_global_size(2) + get_global_id(2);
  const int first = range * rows_per_item, end = min(first + rows_per_item, M);
  for (int k0 = 0; k0 < K; k0 += DEPTH) {
    const int depth = min(DEPTH, K - k0);
    for (int m = first; m < end;) {
      // No further than the tile, and where one of the products leaves out columns or goes on.
      int edge = min(end, m / ROWS * ROWS + ROWS);
      edge = next_edge(m, skipped_ih, next_edge(m, resumed_ih, edge));
      edge = next_edge(m, skipped_hh, next_edge(m, resumed_hh, edge));
      const int rows = next_rows(edge - m);
      global const float *a = tiles + (size_t)(m / ROWS * ROWS) * K + (size_t)k0 * ROWS + m % ROWS;
      for (int panel = left; panel < right; ++panel) {
        const int is_state = panel >= input_panels, columns = is_state ? H : C;
        const int place = is_state ? place_of(m, first_hh, skipped_hh, resumed_hh)
                                   : place_of(m, first_ih, skipped_ih, resumed_ih);
        if (place < 0) continue;
        const int column = (is_state ? panel - input_panels : panel) * COLUMNS;
        global float *c = (is_state ? weight_hh : weight_ih) + (size_t)place * columns + column;
        REAL sums[ROWS][2];
        for (int r = 0; r < ROWS; ++r) sums[r][0] = sums[r][1] = (REAL)(0.0f);
        if (k0) load_tile(rows, sums, c, columns, columns - column);
        panel_products(rows, sums, a, 1, ROWS, panels + ((size_t)panel * K + k0) * COLUMNS, depth);
        store_tile(rows, sums, c, columns, columns - column);
      }
      m += rows;
    }
  }
}
