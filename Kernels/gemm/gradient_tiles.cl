// What the products of all steps read that make the gradients of weights, weight_gradients.cl: the
// gradients that reach a layer's sums in tiles, what the weights met in panels (panel.cl).
//
// A gradient has a row k, one step of one sequence (place_of of slices.cl), and a column m = slot
// padded_width(width) + unit. They are stored tile after tile of ROWS columns; in a tile k after k,
// the ROWS columns of a k side by side: gradient_tiles[(m / ROWS K + k) ROWS + m % ROWS]. So a tile
// is ROWS rows of the transposed matrix, which a product takes at once. Each slot is padded to
// whole tiles and whole vectors. The panels of the inputs come before those of the states. K is
// padded_depth of the steps.

#include "gemm/panel.cl"

/// The columns of a slot and its padding.
INLINE int padded_width(int width) {
  const int unit = WIDTH > ROWS ? WIDTH : ROWS;
  return (width + unit - 1) / unit * unit;
}

/// An odd number of pairs of k, so that the same k of tiles next to each other are in different
/// sets of a cache.
INLINE int padded_depth(int depth) { return 2 * ((depth + 1) / 2 | 1); }

/// The panels of `columns` columns.
INLINE int panel_count(int columns) { return (columns + COLUMNS - 1) / COLUMNS; }

/// Where row k of column m is in the tiles.
INLINE size_t tile_offset(int m, int k, int K) {
  return ((size_t)(m / ROWS) * K + k) * ROWS + m % ROWS;
}

/// Writes the gradients of WIDTH columns from `m` on, a multiple of WIDTH, where tiles hold them.
INLINE void store_in_tiles(REAL values, global float *gradient_tiles, int m, int k, int K) {
  global float *tile = gradient_tiles + tile_offset(m, k, K);
#if WIDTH == 16
  vstore8(values.lo, 0, tile);
  vstore8(values.hi, 0, tile + (size_t)K * ROWS);
#else
  store_vector(values, tile);
#endif
}

/// Row k of a panel: the first `count` of its columns from `row` on, zeros in the others; only
/// zeros where `row` is null.
INLINE void store_in_panel(global const float *row, int count, global float *panel, int k) {
  for (int v = 0; v < 2; ++v) {
    const int first = v * WIDTH;
    store_vector(row ? load_lanes(row + first, count - first) : (REAL)(0.0f),
                 panel + (size_t)k * COLUMNS + first);
  }
}
