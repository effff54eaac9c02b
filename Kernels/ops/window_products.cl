// Convolutions as products: windows are the rows, weights are packed in panels of output channels.
//
// y[n, r, p] = activation(bias[r] + sum over k of w[r, k] window[n, p, k]) + added[n, r, p], where
// p = oh OW + ow, k = (d KH + kh) KW + kw, and sizes and steps are those of convolution.cl, in one
// group and without upsampling.
//
// ROWS windows are a tile [K, ROWS], so that windows side by side are copied as they lie. A
// work-item reads TILES tiles, and multiplies them by each of its panels (panel_products.cl packs
// them), which stays in a cache meanwhile.

#define ALONG_TILES 1
#include "gemm/panel.cl"
#include "ops/convolution_geometry.cl"

#define TILES 4

/// `tiles` is a work-item's room for TILES tiles; an image has P windows of K elements.
typedef struct {
  const Geometry *geometry;
  global const float *x, *bias, *added;
  global const Packed *panels;
  global float *tiles, *y;
  int P, K;
} Windows;

/// So many floats anywhere in memory.
typedef float8 UnalignedRow __attribute__((aligned(4)));

/// The windows of an image from p on as a tile; 0 in the place of those beyond the last.
///
/// A tap's elements of ROWS windows lie at the same places of every channel.
INLINE void read_tile(const Windows *all, global const float *x, int p, global float *tile) {
  const Geometry *g = all->geometry;
  const int D = g->D, plane = g->IH * g->IW, taps = g->KH * g->KW;
  int oh[ROWS], first[ROWS];
  for (int i = 0; i < ROWS; ++i) {
    oh[i] = (p + i) / g->OW;
    first[i] = p + i < all->P ? (p + i) % g->OW * g->SW + g->BW : -(1 << 30);
  }
  for (int tap = 0; tap < taps; ++tap) {
    const int kh = tap / g->KW, kw = tap % g->KW;
    // All bits of an element that is there, else none.
    int place[ROWS], bits[ROWS], is_run = 1;
    for (int i = 0; i < ROWS; ++i) {
      const int h = input_row(g, oh[i], kh), w = first[i] + kw * g->TW;
      bits[i] = h >= 0 && w >= 0 && w < g->IW ? -1 : 0;
      place[i] = (h * g->IW + w) & bits[i];
      is_run &= bits[i] && place[i] == place[0] + i;
    }
    global const float *from = x;
    global float *to = tile + tap * ROWS;
    for (int d = 0; d < D; ++d, from += plane, to += taps * ROWS) {
      if (is_run) {
        *(global UnalignedRow *)to = *(global const UnalignedRow *)(from + place[0]);
        continue;
      }
      for (int i = 0; i < ROWS; ++i) to[i] = as_float(as_int(from[place[i]]) & bits[i]);
    }
  }
}

/// Writes the sums of `rows` windows; the first is at `place` of y, and `count` channels are there.
INLINE void
store_windows(const Windows *all, int rows, REAL sums[ROWS][2], size_t place, int count) {
  float lanes[ROWS][COLUMNS];
  for (int i = 0; i < rows; ++i) {
    VSTORE(activated(sums[i][0], all->geometry->activation), 0, lanes[i]);
    VSTORE(activated(sums[i][1], all->geometry->activation), 1, lanes[i]);
  }
  for (int lane = 0; lane < COLUMNS && lane < count; ++lane, place += all->P) {
    for (int i = 0; i < rows; ++i) {
      const float y = lanes[i][lane];
      all->y[place + i] = all->added ? y + all->added[place + i] : y;
    }
  }
}

/// A tile times the panel of the channels from r on; its first window is p of image n.
INLINE void multiply_tile(const Windows *all, global const float *tile, int n, int p, int r) {
  const int K = all->K, R = all->geometry->R, count = R - r;
  const int alone = multiplies_alone(all->P, K), end = min(ROWS, all->P - p);
  global const Packed *panel = all->panels + (size_t)r * K;
  REAL left = (REAL)(0.0f), right = (REAL)(0.0f);
  if (all->bias) {
    left = load_lanes(all->bias + r, count);
    right = load_lanes(all->bias + r + WIDTH, count - WIDTH);
  }
  for (int row = 0; row < end;) {
    const int rows = next_rows(end - row, alone), called = call_rows(rows, alone);
    REAL sums[ROWS][2];
    global const float *each[ROWS];
    for (int i = 0; i < ROWS; ++i) {
      sums[i][0] = left, sums[i][1] = right;
      each[i] = tile + row + min(i, rows - 1);
    }
    row_products(called, sums, each, panel, K, panel);
    store_windows(all, rows, sums, ((size_t)n * R + r) * all->P + p + row, count);
    row += rows;
  }
}

/// The tiles of all images from `first` to `end`, times the panels of the channels from `left` to
/// `right`.
OUTLINE void multiply_tiles(const Windows *all, int first, int end, int left, int right) {
  const int each = (all->P + ROWS - 1) / ROWS, size = all->K * ROWS;
  const size_t image = (size_t)all->geometry->D * all->geometry->IH * all->geometry->IW;
  for (int t = first; t < end; t += TILES) {
    const int count = min(TILES, end - t);
    for (int i = 0; i < count; ++i) {
      read_tile(all, all->x + (t + i) / each * image, (t + i) % each * ROWS, all->tiles + i * size);
    }
    for (int r = left; r < right; r += COLUMNS) {
      for (int i = 0; i < count; ++i) {
        multiply_tile(all, all->tiles + i * size, (t + i) / each, (t + i) % each * ROWS, r);
      }
    }
  }
}

/// `tiles` is room for TILES tiles of each work-item. Global size: ranges of `tiles_per_item` tiles
/// of N images, ranges of `panels_per_item` panels.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
convolve_windows(global const float *x, global const Packed *panels, global const float *bias,
                 global const float *added, global float *y, global float *tiles, int N,
                 GEOMETRY_PARAMETERS, int tiles_per_item, int panels_per_item) {
  const Geometry geometry = GEOMETRY;
  const int P = OH * OW, K = D * KH * KW, item = get_group_id(1) * get_num_groups(0);
  const int first = get_group_id(0) * tiles_per_item, all_tiles = (P + ROWS - 1) / ROWS * N;
  const int left = get_group_id(1) * panels_per_item * COLUMNS;
  const Windows all = {
      .geometry = &geometry,
      .x = x,
      .bias = bias,
      .added = added,
      .panels = panels,
      .tiles = tiles + (size_t)(item + get_group_id(0)) * TILES * K * ROWS,
      .y = y,
      .P = P,
      .K = K,
  };
  multiply_tiles(&all, first, min(first + tiles_per_item, all_tiles), left,
                 min(left + panels_per_item * COLUMNS, R));
}
