// Convolutions of few windows: the weights take longer to read than to multiply.
//
// y[n, r, p] = activation(bias[r] + sum over k of w[r, k] window[n, p, k]) + added[n, r, p], where p
// = oh OW + ow, k = (d KH + kh) KW + kw, and sizes and steps are those of convolution.cl, in one
// group and without upsampling. The weights are packed in panels of output channels (panel_products.cl), so that the
// windows are the rows of a product.

#include "gemm/panel.cl"
#include "ops/convolution_geometry.cl"

/// Windows as rows of K numbers, panels of weights, and y of one image.
typedef struct {
  const Geometry *geometry;
  global const float *windows, *bias, *added;
  global const Packed *panels;
  global float *y;
  int P, K;
} Windows;

/// Window p of an image as a row.
INLINE void copy_window(const Geometry *g, global const float *x, int p, global float *window) {
  const int oh = p / g->OW, first = p % g->OW * g->SW + g->BW;
  for (int d = 0; d < g->D; ++d) {
    for (int kh = 0; kh < g->KH; ++kh, window += g->KW) {
      const int h = input_row(g, oh, kh);
      global const float *row = x + ((size_t)d * g->IH + max(h, 0)) * g->IW;
      for (int kw = 0; kw < g->KW; ++kw) {
        const int w = first + kw * g->TW;
        window[kw] = h >= 0 && w >= 0 && w < g->IW ? row[w] : 0.0f;
      }
    }
  }
}

/// Writes the sums of `rows` windows from `p` on, whose channels begin at `r`.
INLINE void store_windows(const Windows *all, int rows, REAL sums[ROWS][2], int p, int r) {
  for (int i = 0; i < rows; ++i) {
    for (int v = 0; v < 2; ++v) {
      const int count = all->geometry->R - r - v * WIDTH;
      const REAL value = activated(sums[i][v], all->geometry->activation);
      const size_t place = (size_t)(r + v * WIDTH) * all->P + p + i;
      float lanes[WIDTH];
      VSTORE(value, 0, lanes);
      for (int lane = 0; lane < WIDTH && lane < count; ++lane) {
        const size_t own = place + (size_t)lane * all->P;
        all->y[own] = all->added ? lanes[lane] + all->added[own] : lanes[lane];
      }
    }
  }
}

/// All windows of an image for the panels from `first` to `end`.
OUTLINE void multiply_windows(const Windows *all, int first, int end) {
  const int P = all->P, K = all->K, alone = multiplies_alone(P, K);
  for (int r = first * COLUMNS; r < end * COLUMNS; r += COLUMNS) {
    const int count = all->geometry->R - r;
    global const Packed *panel = all->panels + (size_t)r * K;
    REAL left = (REAL)(0.0f), right = (REAL)(0.0f);
    if (all->bias) {
      left = load_lanes(all->bias + r, count);
      right = load_lanes(all->bias + r + WIDTH, count - WIDTH);
    }
    for (int p = 0; p < P;) {
      const int rows = next_rows(P - p, alone);
      REAL sums[ROWS][2];
      for (int i = 0; i < ROWS; ++i) sums[i][0] = left, sums[i][1] = right;
      panel_products(rows, alone, sums, all->windows + (size_t)p * K, K, panel, K, panel);
      store_windows(all, rows, sums, p, r);
      p += rows;
    }
  }
}

/// `windows` is room for OH OW rows of each work-item. Global size: ceil(panels / panels_per_item),
/// N.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
convolve_few(global const float *x, global const Packed *panels, global const float *bias,
             global const float *added, global float *y, global float *windows, GEOMETRY_PARAMETERS, int panels_per_item) {
  const Geometry geometry = GEOMETRY;
  const int P = OH * OW, K = D * KH * KW, n = get_group_id(1), item = get_group_id(0);
  const int count = (R + COLUMNS - 1) / COLUMNS, first = item * panels_per_item;
  windows += ((size_t)n * get_num_groups(0) + item) * P * K;
  for (int p = 0; p < P; ++p) {
    copy_window(&geometry, x + (size_t)n * D * IH * IW, p, windows + (size_t)p * K);
  }
  const Windows all = {
      .geometry = &geometry,
      .windows = windows,
      .bias = bias,
      .panels = panels,
      .added = added ? added + (size_t)n * R * P : 0,
      .y = y + (size_t)n * R * P,
      .P = P,
      .K = K,
  };
  multiply_windows(&all, first, min(first + panels_per_item, count));
}
