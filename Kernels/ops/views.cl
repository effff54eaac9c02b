// Copies between strided views, whose layouts `ops/view_places.cl` explains.
//
// Parameters:
//   ITEM       elements of a work-item.

#include "ops/view_places.cl"

/// What `copy_view` copies.
typedef struct {
  global const float *x;
  global float *y;
  global const int *layout;
  int accumulate;
} Copy;

/// Elements `first` to `end` of a copy.
OUTLINE void copy_items(const Copy *copy, int first, int end) {
  global const int *layout = copy->layout;
  const int extent = layout[layout[0]], y_stride = last_stride(layout, 0);
  const int x_stride = last_stride(layout, 1), accumulate = copy->accumulate;
  for (int index = first; index < end;) {
    const int run = min(end - index, extent - index % extent);
    global float *to = copy->y + place_of(layout, 0, index);
    global const float *from = copy->x + place_of(layout, 1, index);
    if (y_stride == 1 && !accumulate) {
      for (int j = 0; j < run; j += WIDTH) {
        store_lanes(load_strided(from + j * x_stride, x_stride, run - j), to + j, run - j);
      }
    } else {
      for (int j = 0; j < run; ++j) {
        const float value = from[j * x_stride];
        to[j * y_stride] = accumulate ? to[j * y_stride] + value : value;
      }
    }
    index += run;
  }
}

/// y = x, or with `accumulate` 1 that much more. Global size: at least
/// ceil(count / ITEM).
kernel void copy_view(global const float *x, global float *y, global const int *layout, int count,
                      int accumulate) {
  const Copy copy = {x, y, layout, accumulate};
  const int first = get_global_id(0) * ITEM;
  copy_items(&copy, first, min(first + ITEM, count));
}

/// `rows` rows of y, `stride` apart, from as many columns of x, whose elements lie `step` apart.
OUTLINE void
transpose_rows(global const float *x, int step, global float *y, int stride, int rows, int count) {
  for (int j = 0; j < count; j += WIDTH) {
    const int columns = min(WIDTH, count - j);
    float tile[WIDTH * WIDTH];
    for (int k = 0; k < columns; ++k) {
      global const float *source = x + (size_t)(j + k) * step;
      // The next rows begin behind these.
      fetch_second(source + WIDTH);
      VSTORE(load_lanes(source, rows), k, tile);
    }
    for (int i = 0; i < rows; ++i) {
      float lanes[WIDTH];
      for (int k = 0; k < WIDTH; ++k) lanes[k] = k < columns ? tile[k * WIDTH + i] : 0.0f;
      store_lanes(VLOAD(0, lanes), y + (size_t)i * stride + j, columns);
    }
  }
}

/// y = x, where y lies along the last axis and x along the one before it. Global size: vectors of
/// that axis, the indices of the axes before.
kernel void copy_transposed(global const float *x, global float *y, global const int *layout) {
  const int rank = layout[0], extent = layout[rank - 1], count = layout[rank];
  const int row = get_global_id(0) * WIDTH, first = (get_global_id(1) * extent + row) * count;
  const int stride = layout[1 + rank + rank - 1];
  transpose_rows(x + place_of(layout, 1, first), last_stride(layout, 1),
                 y + place_of(layout, 0, first), stride, min(WIDTH, extent - row), count);
}
