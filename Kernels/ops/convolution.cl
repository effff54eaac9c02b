// Convolutions of few channels, whose outputs are summed where they stand: no window is copied.
//
// y[n, g R + r, oh, ow] = bias[g R + r] + sum over d, kh, kw of w[g, r, d, kh, kw] x[n, g D + d, h,
// w], where h = (oh SH + BH + kh TH) / UH and w = (ow SW + BW + kw TW) / UW; what is beyond x, or
// between its elements, is 0. The activation is applied to y, and then `added` [N, groups R, OH,
// OW] is added, which may be null. A convolution has U = 1, B = -padding, T = dilation; its
// adjoint, which a transposed convolution is, S = 1, B = padding, T = -dilation, U = stride. Sums
// run in the order of d, kh, kw.
//
// Layouts: x [N, groups D, IH, IW], y [N, groups R, OH, OW]; r and d of the weights are w_row and
// w_depth apart.

#include "ops/convolution_geometry.cl"

// The rows and vectors of columns whose sums are made at once: they stay in registers. Eight rows
// take 3 to 8 % less for convolutions of many channels, and twice as long to compile (Zen 5).
#define ROWS 4
#define VECTORS 2

#if WIDTH == 16
#define LOAD_HALF vload8
#elif WIDTH == 8
#define LOAD_HALF vload4
#else
#define LOAD_HALF vload2
#endif

/// Rows of y from `r` on, and columns of row `oh` from `column` on, which is `own_column` where
/// rows are one; `x` and `w` begin at the group.
typedef struct {
  const Geometry *geometry;
  global const float *x, *w, *bias, *added;
  global float *y;
  int r, rows, oh, column, own_column;
} Block;

/// Where the first element of a block is in y, and in `added`.
INLINE size_t first_element(const Block *block) {
  const Geometry *g = block->geometry;
  return (size_t)block->r * g->OH * g->OW + (size_t)block->oh * g->OW + block->column;
}

/// Lane i: the element of a row at (first + i stride) / up, or 0.
OUTLINE REAL any_lanes(global const float *row, int first, int stride, int up, int count) {
  float lanes[WIDTH];
  for (int i = 0; i < WIDTH; ++i) {
    const int scaled = first + i * stride, place = up == 1 ? scaled : scaled / up;
    lanes[i] = scaled >= 0 && place < count && place * up == scaled ? row[place] : 0.0f;
  }
  return VLOAD(0, lanes);
}

/// The same, fast within a row where each element is met, every second, or each second time one.
INLINE REAL row_lanes(global const float *row, int first, int stride, int up, int count) {
#if WIDTH > 1
  if (up == 1 && first >= 0) {
    if (stride == 1 && first + WIDTH <= count) {
      // The same row of x is read next for the columns behind this block.
      fetch_second(row + first + VECTORS * WIDTH);
      return load_vector(row + first);
    }
    if (stride == 2 && first + 2 * WIDTH <= count) {
      REAL lanes;
      lanes.lo = load_vector(row + first).even;
      lanes.hi = load_vector(row + first + WIDTH).even;
      return lanes;
    }
  }
  // Before element `first / 2`, rounded up, lies a zero where `first` is odd.
  const int place = (first + 1) >> 1;
  if (up == 2 && stride == 1 && place >= 0 && place + WIDTH / 2 <= count) {
    REAL lanes = (REAL)(0.0f);
    if (first & 1) lanes.odd = LOAD_HALF(0, row + place);
    else lanes.even = LOAD_HALF(0, row + place);
    return lanes;
  }
#endif
  return any_lanes(row, first, stride, up, count);
}

#if WIDTH == 1
/// Up to ROWS rows of one column.
INLINE void block_sums(const Block *block) {
  const Geometry *g = block->geometry;
  const size_t plane = (size_t)g->OH * g->OW;
  float sums[ROWS];
#pragma unroll
  for (int i = 0; i < ROWS; ++i) {
    sums[i] = block->bias && i < block->rows ? block->bias[block->r + i] : 0.0f;
  }
  for (int d = 0; d < g->D; ++d) {
    global const float *w = block->w + (size_t)block->r * g->w_row + (size_t)d * g->w_depth;
    for (int kh = 0; kh < g->KH; ++kh, w += g->KW) {
      const int h = input_row(g, block->oh, kh);
      if (h < 0) continue;
      global const float *row = block->x + ((size_t)d * g->IH + h) * g->IW;
      for (int kw = 0; kw < g->KW; ++kw) {
        const int first = block->column * g->SW + g->BW + kw * g->TW;
        const float x = any_lanes(row, first, g->SW, g->UW, g->IW);
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
          if (i < block->rows) sums[i] = fma(w[(size_t)i * g->w_row + kw], x, sums[i]);
        }
      }
    }
  }
  const size_t first = first_element(block);
  for (int i = 0; i < ROWS && i < block->rows; ++i) {
    const float y = activated(sums[i], g->activation);
    block->y[first + i * plane] = block->added ? y + block->added[first + i * plane] : y;
  }
}

INLINE void convolve_row(const Block *given, int first_row, int end_row, int first, int end) {
  Block block = *given;
  for (block.column = first; block.column < end; ++block.column) {
    for (block.r = first_row; block.r < end_row; block.r += ROWS) {
      block.rows = min(end_row - block.r, ROWS);
      block_sums(&block);
    }
  }
}

#else
// The elements of windows that are read at once, for as many rows as there are.
#define PANEL 256

/// WIDTH columns from `column` on in their own rows of `period` columns.
INLINE INTEGER own_columns(int column, int period) {
  INTEGER own = LANE_NUMBERS + column;
  for (int most = column + WIDTH - 1; most >= period; most -= period) {
    own = own >= period ? own - period : own;
  }
  return own;
}

/// Elements k from `from` to `to` of the windows of a block, k = (d KH + kh) KW + kw.
INLINE void
read_windows(REAL panel[PANEL][VECTORS], const int vectors, const Block *block, int from, int to) {
  const Geometry *g = block->geometry;
  const int is_joined = g->period > 0;
  INTEGER own[VECTORS];
  for (int v = 0; v < vectors && is_joined; ++v) {
    own[v] = own_columns(block->own_column + v * WIDTH, g->period) * g->SW + g->own_begin;
  }
  int kw = from % g->KW, kh = from / g->KW % g->KH, d = from / g->KW / g->KH;
  for (int k = from; k < to;) {
    const int h = is_joined ? 0 : input_row(g, block->oh, kh), end = min(to, k + g->KW - kw);
    global const float *row = block->x + ((size_t)d * g->IH + max(h, 0)) * g->IW;
    for (; k < end; ++k, ++kw) {
      const int first = block->column * g->SW + g->BW + kh * g->row_tap + kw * g->TW;
#pragma unroll
      for (int v = 0; v < vectors; ++v) {
        REAL lanes = (REAL)(0.0f);
        if (h >= 0) {
          lanes = row_lanes(row, first + v * WIDTH * g->SW, g->SW, g->UW, g->IW);
        }
        if (is_joined) {
          const INTEGER place = own[v] + kw * g->TW;
          lanes = ((place >= 0) & (place < g->limit)) ? lanes : (REAL)(0.0f);
        }
        panel[k - from][v] = lanes;
      }
    }
    kw = 0;
    if (++kh == g->KH) kh = 0, ++d;
  }
}

/// Adds elements `from` to `to` to `rows` rows, the last of which may be the same again, and to
/// `vectors` vectors; constants wherever this is called.
INLINE void add_windows(const int rows, const int vectors, REAL panel[PANEL][VECTORS],
                        const Block *block, int from, int to) {
  const Geometry *g = block->geometry;
  const size_t plane = (size_t)g->OH * g->OW;
  const int K = g->KH * g->KW, left = g->OW - block->column, is_last = to == g->D * K;
  global float *y = block->y + first_element(block);
  // Behind other activations than a rectifier it is added later.
  global const float *added =
      block->added && g->activation <= RECTIFIES ? block->added + first_element(block) : 0;
  global const float *w[ROWS];
  REAL sums[ROWS][VECTORS];
#pragma unroll
  for (int i = 0; i < rows; ++i) {
    const int own = min(i, block->rows - 1);
    w[i] = block->w + (size_t)(block->r + own) * g->w_row;
#pragma unroll
    for (int v = 0; v < vectors; ++v) {
      if (from) sums[i][v] = load_lanes(y + own * plane + v * WIDTH, left - v * WIDTH);
      else sums[i][v] = (REAL)(block->bias ? block->bias[block->r + own] : 0.0f);
    }
  }
  // What the next rows are stored to, and what is added to them.
  for (int i = 0; i < rows; ++i) {
    for (int v = 0; v < vectors; ++v) {
      fetch(y + (i + ROWS) * plane + v * WIDTH);
      if (added) fetch(added + (i + ROWS) * plane + v * WIDTH);
    }
  }
  // The weights of all elements lie alike, or else those of each d.
  const int is_even = K == 1 || g->w_depth == K, step = K == 1 ? g->w_depth : 1;
  for (int k = from; k < to;) {
    const size_t first = is_even ? (size_t)k * step : (size_t)(k / K) * g->w_depth + k % K;
    const int run = is_even ? to - k : min(to - k, K - k % K);
    for (int j = 0; j < run; ++j) {
#pragma unroll
      for (int i = 0; i < rows; ++i) {
        const REAL factor = (REAL)(w[i][first + (size_t)j * step]);
#pragma unroll
        for (int v = 0; v < vectors; ++v) {
          sums[i][v] = fma(factor, panel[k - from + j][v], sums[i][v]);
        }
      }
    }
    k += run;
  }
#pragma unroll
  for (int i = 0; i < rows; ++i) {
#pragma unroll
    for (int v = 0; v < vectors; ++v) {
      if (i >= block->rows) continue;
      const size_t place = i * plane + v * WIDTH;
      REAL sum = sums[i][v];
      if (is_last) sum = rectified(sum, g->activation);
      if (is_last && added) sum += load_lanes(added + place, left - v * WIDTH);
      store_lanes(sum, y + place, left - v * WIDTH);
    }
  }
}

/// Applies other activations than a rectifier to what a block wrote: here the call moves no sums
/// out of their registers.
OUTLINE void curve_block(const Block *block, int vectors) {
  const Geometry *g = block->geometry;
  const size_t first = first_element(block);
  for (int i = 0; i < block->rows; ++i) {
    for (int v = 0; v < vectors; ++v) {
      const size_t place = first + (size_t)i * g->OH * g->OW + v * WIDTH;
      const int left = g->OW - block->column - v * WIDTH;
      REAL y = curved(load_lanes(block->y + place, left), g->activation);
      if (block->added) y += load_lanes(block->added + place, left);
      store_lanes(y, block->y + place, left);
    }
  }
}

/// All rows from `first_row` to `end_row` of so many vectors, a constant wherever this is called.
INLINE void column_sums(const int vectors, Block *block, int first_row, int end_row) {
  const Geometry *g = block->geometry;
  const int depth = g->D * g->KH * g->KW;
  REAL panel[PANEL][VECTORS];
  for (int from = 0; from < depth; from += PANEL) {
    const int to = min(from + PANEL, depth);
    read_windows(panel, vectors, block, from, to);
    for (block->r = first_row; block->r < end_row; block->r += ROWS) {
      block->rows = min(end_row - block->r, ROWS);
      if (block->rows == 1) add_windows(1, vectors, panel, block, from, to);
      else add_windows(ROWS, vectors, panel, block, from, to);
      if (to == depth && g->activation > RECTIFIES) curve_block(block, vectors);
    }
  }
}

/// The columns from `first` to `end` of a row of y.
OUTLINE void convolve_row(const Block *given, int first_row, int end_row, int first, int end) {
  Block block = *given;
  const int period = block.geometry->period, step = VECTORS * WIDTH;
  block.own_column = period ? first % period : 0;
  for (block.column = first; block.column < end; block.column += step) {
    if (end - block.column > WIDTH) column_sums(VECTORS, &block, first_row, end_row);
    else column_sums(1, &block, first_row, end_row);
    block.own_column += step;
    while (period && block.own_column >= period) block.own_column -= period;
  }
}
#endif

/// A tile is `chunk` columns of a row of y. Global size: ceil(tiles / tiles_per_item), N groups,
/// ceil(R / rows_per_item).
kernel void convolve(global const float *x, global const float *w, global const float *bias,
                     global const float *added, global float *y, int groups, GEOMETRY_PARAMETERS,
                     int chunk, int tiles_per_item, int rows_per_item) {
  const Geometry geometry = GEOMETRY;
  const int image = get_global_id(1), group = image % groups;
  const int first_row = get_global_id(2) * rows_per_item,
            end_row = min(first_row + rows_per_item, R);
  Block block = {.geometry = &geometry};
  block.x = x + (size_t)image * D * IH * IW;
  block.w = w + (size_t)group * D * R * KH * KW;
  block.bias = bias ? bias + group * R : 0;
  block.y = y + (size_t)image * R * OH * OW;
  block.added = added ? added + (size_t)image * R * OH * OW : 0;
  const int chunks = (OW + chunk - 1) / chunk, first = get_global_id(0) * tiles_per_item;
  for (int tile = first; tile < min(first + tiles_per_item, OH * chunks); ++tile) {
    const int column = tile % chunks * chunk;
    block.oh = tile / chunks;
    convolve_row(&block, first_row, end_row, column, min(column + chunk, OW));
  }
}
