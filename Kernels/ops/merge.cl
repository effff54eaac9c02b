// The two directions of a bidirectional layer made one, and sums of gradients.
//
// Directions that are concatenated need none of this: they write their rows side by side.
//
// All arrays are [rows, width].

#include "common/vector.cl"

#define SUM 0
#define AVERAGE 1
#define MULTIPLY 2

/// x[i] += y[i]. Global size: at least count in vectors, rounded up.
kernel void add(global float *x, global const float *y, int count) {
  const int i = get_global_id(0) * WIDTH, lanes = count - i;
  store_lanes(load_lanes(x + i, lanes) + load_lanes(y + i, lanes), x + i, lanes);
}

/// y from a and b. Global size: width in vectors, rounded up, rows.
kernel void
merge_forward(global const float *a, global const float *b, global float *y, int width, int mode) {
  const int i = get_global_id(0) * WIDTH, lanes = width - i;
  const size_t row = get_global_id(1);
  const REAL left = load_lanes(a + row * width + i, lanes);
  const REAL right = load_lanes(b + row * width + i, lanes);
  REAL value = left + right;
  if (mode == AVERAGE) value = value * (REAL)(0.5f);
  if (mode == MULTIPLY) value = left * right;
  store_lanes(value, y + row * width + i, lanes);
}

/// The gradients of a and b from that of y. Global size: width in vectors, rounded up, rows.
kernel void merge_backward(global const float *grad_y, global const float *a, global const float *b,
                           global float *grad_a, global float *grad_b, int width, int mode) {
  const int i = get_global_id(0) * WIDTH, lanes = width - i;
  const size_t row = get_global_id(1);
  const REAL g = load_lanes(grad_y + row * width + i, lanes);
  REAL left = g, right = g;
  if (mode == AVERAGE) left = right = g * (REAL)(0.5f);
  if (mode == MULTIPLY) {
    left = g * load_lanes(b + row * width + i, lanes);
    right = g * load_lanes(a + row * width + i, lanes);
  }
  store_lanes(left, grad_a + row * width + i, lanes);
  store_lanes(right, grad_b + row * width + i, lanes);
}
