// Copies between strided views, and functions of strided views.
//
// A layout is a list of ints: the rank, the extents, then for each operand its offset and strides.
// An operand's index (i, j, ...) is at offset + i stride0 + j stride1 + ...; the first operand is
// the result. Elements are counted row-major. Work-item g serves the elements from g ITEM on, in
// runs along the last axis.
//
// Parameters:
//   ITEM       elements of a work-item.
//   FUNCTION   the function of `elementwise`, one of those below; of a chain its last result.
//   INPUTS     how many numbers it reads.
//   CHAIN      the steps of a chain, each a STEP; left out where there is no chain.

#include "common/activation.cl"

#ifndef ITEM
#define ITEM 4096
#endif
#ifndef FUNCTION
#define FUNCTION VALUE_identity
#endif
#ifndef INPUTS
#define INPUTS 1
#endif

/// Where element `index` of operand `operand` is.
INLINE int place_of(global const int *layout, int operand, int index) {
  const int rank = layout[0];
  global const int *strides = layout + 1 + rank + operand * (rank + 1);
  int place = strides[0];
  for (int axis = rank - 1; axis >= 0; --axis) {
    const int extent = layout[1 + axis], next = index / extent;
    place += (index - next * extent) * strides[1 + axis];
    index = next;
  }
  return place;
}

/// The stride of an operand along the last axis.
INLINE int last_stride(global const int *layout, int operand) {
  return layout[1 + layout[0] + operand * (layout[0] + 1) + layout[0]];
}

/// `count` numbers from `source` on, `stride` apart; any in the other lanes.
INLINE REAL load_strided(global const float *source, int stride, int count) {
  if (stride == 1) return load_lanes(source, count);
  if (stride == 0) return (REAL)(source[0]);
  float lanes[WIDTH];
  for (int i = 0; i < WIDTH; ++i) lanes[i] = i < count ? source[i * stride] : 0.0f;
  return VLOAD(0, lanes);
}

/// y = x, or with `accumulate` 1 that much more. Global size: ceil(count / ITEM).
kernel void copy_view(global const float *x, global float *y, global const int *layout, int count,
                      int accumulate) {
  const int first = get_global_id(0) * ITEM, end = min(first + ITEM, count);
  const int extent = layout[layout[0]], y_stride = last_stride(layout, 0);
  const int x_stride = last_stride(layout, 1);
  for (int index = first; index < end;) {
    const int run = min(end - index, extent - index % extent);
    global float *to = y + place_of(layout, 0, index);
    global const float *from = x + place_of(layout, 1, index);
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

#define ZERO ((REAL)(0.0f))
#define ONE ((REAL)(1.0f))
#define PICK(condition, a, b) ((condition) ? (a) : (b))
#define TRUTH(condition) PICK(condition, ONE, ZERO)

// The functions of ElementwiseFunction.swift of a, b, c, d, and the parameters p and q.
#define VALUE_identity a
#define VALUE_absolute fabs(a)
#define VALUE_negate (-a)
#define VALUE_sign PICK(a > ZERO, ONE, PICK(a < ZERO, -ONE, a))
#define VALUE_floor floor(a)
#define VALUE_ceiling ceil(a)
#define VALUE_round rint(a)
#define VALUE_truncate trunc(a)
#define VALUE_exponential exp(a)
#define VALUE_logarithm log(a)
#define VALUE_square_root sqrt(a)
#define VALUE_reciprocal (ONE / a)
#define VALUE_sine sin(a)
#define VALUE_cosine cos(a)
#define VALUE_error_function erf(a)
#define VALUE_sigmoid sigmoid(a)
#define VALUE_tanh hyperbolic_tangent(a)
#define VALUE_relu activate(RELU, p, q, a)
#define VALUE_leaky_relu activate(LEAKY_RELU, p, q, a)
#define VALUE_thresholded_relu activate(THRESHOLDED_RELU, p, q, a)
#define VALUE_elu activate(ELU, p, q, a)
#define VALUE_selu (q * activate(ELU, p, q, a))
#define VALUE_hard_sigmoid activate(HARD_SIGMOID, p, q, a)
#define VALUE_softplus activate(SOFTPLUS, p, q, a)
#define VALUE_softsign activate(SOFTSIGN, p, q, a)
#define VALUE_silu (a * sigmoid(a))
#define VALUE_gelu (a * normal_share(a))
#define VALUE_affine fma(p, a, q)
#define VALUE_not TRUTH(a == ZERO)
#define VALUE_is_nan TRUTH(a != a)
#define VALUE_is_true TRUTH(a != ZERO)
#define VALUE_add (a + b)
#define VALUE_subtract (a - b)
#define VALUE_multiply (a * b)
#define VALUE_divide (a / b)
#define VALUE_whole_divide PICK(b == ZERO, ZERO, trunc(a / b))
#define VALUE_power pow(a, b)
#define VALUE_minimum PICK((a < b) | (a != a), a, b)
#define VALUE_maximum PICK((a > b) | (a != a), a, b)
#define VALUE_modulo (a - b * floor(a / b))
#define VALUE_remainder fmod(a, b)
#define VALUE_equal TRUTH(a == b)
#define VALUE_less TRUTH(a < b)
#define VALUE_less_or_equal TRUTH(a <= b)
#define VALUE_greater TRUTH(a > b)
#define VALUE_greater_or_equal TRUTH(a >= b)
#define VALUE_and TRUTH((a != ZERO) & (b != ZERO))
#define VALUE_or TRUTH((a != ZERO) | (b != ZERO))
#define VALUE_exclusive_or TRUTH((a != ZERO) ^ (b != ZERO))
#define VALUE_prelu PICK(a < ZERO, b * a, a)
#define VALUE_select PICK(a != ZERO, b, c)
#define VALUE_clip PICK(a < b, PICK(b > c, c, b), PICK(a > c, c, a))
#define VALUE_multiply_add fma(a, b, c)
#define VALUE_clip_slope PICK((b < c) | (b > d), ZERO, a)

// a times the derivative at x = b, where the value was c.
#define VALUE_slope_absolute (a * PICK(b > ZERO, ONE, PICK(b < ZERO, -ONE, b)))
#define VALUE_slope_exponential (a * c)
#define VALUE_slope_logarithm (a / b)
#define VALUE_slope_square_root (a * (0.5f / c))
#define VALUE_slope_reciprocal (-a * c * c)
#define VALUE_slope_sine (a * cos(b))
#define VALUE_slope_cosine (-a * sin(b))
#define VALUE_slope_error_function (a * (1.12837917f * exp(-b * b)))
#define VALUE_slope_sigmoid (a * activation_slope(SIGMOID, p, q, c))
#define VALUE_slope_tanh (a * activation_slope(TANH, p, q, c))
#define VALUE_slope_relu (a * activation_slope(RELU, p, q, c))
#define VALUE_slope_leaky_relu (a * PICK(b > ZERO, ONE, p))
#define VALUE_slope_thresholded_relu (a * PICK(b > p, ONE, ZERO))
#define VALUE_slope_elu (a * PICK(b > ZERO, ONE, c + p))
#define VALUE_slope_selu (a * PICK(b > ZERO, q, fma(q, p, c)))
#define VALUE_slope_hard_sigmoid (a * activation_slope(HARD_SIGMOID, p, q, c))
#define VALUE_slope_softplus (a * sigmoid(b))
#define VALUE_slope_softsign (a / ((ONE + fabs(b)) * (ONE + fabs(b))))
#define VALUE_slope_silu (a * (sigmoid(b) * fma(b, sigmoid(-b), ONE)))
#define VALUE_slope_gelu (a * fma(b, 0.39894228f * exp(-0.5f * b * b), normal_share(b)))
#define VALUE_slope_affine (a * p)
#define VALUE_slope_identity a
#define VALUE_slope_negate (-a)

// a times the derivative with respect to b, or to c, where the value was d.
#define VALUE_first_divide (a / c)
#define VALUE_first_power PICK(c == ZERO, ZERO, a * c * pow(b, c - ONE))
#define VALUE_first_minimum PICK(b == c, 0.5f * a, PICK(b < c, a, ZERO))
#define VALUE_first_maximum PICK(b == c, 0.5f * a, PICK(b > c, a, ZERO))
#define VALUE_first_modulo a
#define VALUE_first_remainder a
#define VALUE_first_prelu PICK(b > ZERO, a, a * c)
#define VALUE_second_divide (-a * d / c)
#define VALUE_second_power PICK(d == ZERO, ZERO, a * d * log(b))
#define VALUE_second_minimum PICK(b == c, 0.5f * a, PICK(b > c, a, ZERO))
#define VALUE_second_maximum PICK(b == c, 0.5f * a, PICK(b < c, a, ZERO))
#define VALUE_second_modulo (-a * floor(b / c))
#define VALUE_second_remainder (-a * trunc(b / c))
#define VALUE_second_prelu PICK(b < ZERO, a * b, ZERO)

/// The share of a normal distribution below x.
INLINE REAL normal_share(REAL x) { return 0.5f * erfc(-0.707106781f * x); }

#ifdef CHAIN
// A step: vR = NAME of vI, vJ, vK, vL and of the parameters whose bits are P and Q.
#define STEP(R, NAME, I, J, K, L, P, Q)                                                            \
  REAL v##R;                                                                                       \
  {                                                                                                \
    const REAL a UNUSED = v##I, b UNUSED = v##J, c UNUSED = v##K, d UNUSED = v##L;                 \
    const REAL p UNUSED = as_float(P), q UNUSED = as_float(Q);                                     \
    v##R = VALUE_##NAME;                                                                           \
  }
#define UNUSED __attribute__((unused))

OUTLINE REAL apply(REAL v0, REAL v1, REAL v2, REAL v3, REAL p, REAL q) { CHAIN return FUNCTION; }
#else
OUTLINE REAL apply(REAL a, REAL b, REAL c, REAL d, REAL p, REAL q) { return FUNCTION; }
#endif

/// y = the function of INPUTS of x0, x1, x2, x3. Global size: ceil(count / ITEM).
kernel void elementwise(global const float *x0, global const float *x1, global const float *x2,
                        global const float *x3, global float *y, global const int *layout,
                        int count, float p, float q) {
  const int first = get_global_id(0) * ITEM, end = min(first + ITEM, count);
  const int extent = layout[layout[0]];
  for (int index = first; index < end;) {
    const int run = min(end - index, extent - index % extent);
    global const float *a = x0 + place_of(layout, 1, index);
    const int a_stride = last_stride(layout, 1);
#if INPUTS > 1
    global const float *b = x1 + place_of(layout, 2, index);
    const int b_stride = last_stride(layout, 2);
#endif
#if INPUTS > 2
    global const float *c = x2 + place_of(layout, 3, index);
    const int c_stride = last_stride(layout, 3);
#endif
#if INPUTS > 3
    global const float *d = x3 + place_of(layout, 4, index);
    const int d_stride = last_stride(layout, 4);
#endif
    for (int j = 0; j < run; j += WIDTH) {
      REAL values[4] = {ZERO, ZERO, ZERO, ZERO};
      values[0] = load_strided(a + j * a_stride, a_stride, run - j);
#if INPUTS > 1
      values[1] = load_strided(b + j * b_stride, b_stride, run - j);
#endif
#if INPUTS > 2
      values[2] = load_strided(c + j * c_stride, c_stride, run - j);
#endif
#if INPUTS > 3
      values[3] = load_strided(d + j * d_stride, d_stride, run - j);
#endif
      store_lanes(apply(values[0], values[1], values[2], values[3], (REAL)(p), (REAL)(q)),
                  y + index + j, run - j);
    }
    index += run;
  }
}
