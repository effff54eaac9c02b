// Functions of up to four strided views, whose layouts `ops/view_places.cl` explains.
//
// Parameters:
//   ITEM       elements of a work-item.
//   FUNCTION   the function, one of those below; of a chain its last result.
//   INPUTS     how many numbers it reads.
//   CHAIN      the steps of a chain, each a STEP; left out where there is no chain.
//   PLANES     1 for `elementwise_planes`, 0 for `elementwise`: a program has one of them, for the
//              time that compiling takes.

#include "common/activation.cl"
#include "ops/view_places.cl"

#ifndef FUNCTION
#define FUNCTION VALUE_identity
#endif
#ifndef INPUTS
#define INPUTS 1
#endif
#ifndef PLANES
#define PLANES 0
#endif

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

#define UNUSED __attribute__((unused))
#ifdef CHAIN
// A step: vR = NAME of vI, vJ, vK, vL and of the parameters whose bits are P and Q.
#define STEP(R, NAME, I, J, K, L, P, Q)                                                            \
  REAL v##R;                                                                                       \
  {                                                                                                \
    const REAL a UNUSED = v##I, b UNUSED = v##J, c UNUSED = v##K, d UNUSED = v##L;                 \
    const REAL p UNUSED = as_float(P), q UNUSED = as_float(Q);                                     \
    v##R = VALUE_##NAME;                                                                           \
  }

INLINE REAL apply(const REAL *values, REAL p, REAL q) {
  const REAL v0 = values[0], v1 UNUSED = values[1], v2 UNUSED = values[2], v3 UNUSED = values[3];
  CHAIN return FUNCTION;
}
#else
INLINE REAL apply(const REAL *values, REAL p, REAL q) {
  const REAL a = values[0], b UNUSED = values[1], c UNUSED = values[2], d UNUSED = values[3];
  return FUNCTION;
}
#endif

/// What is read, of which INPUTS count, and written.
typedef struct {
  global const float *x[4];
  global float *y;
  global const int *layout;
  float p, q;
} Operands;

#if !PLANES
/// Elements `first` to `end` of y.
OUTLINE void apply_items(const Operands *operands, int first, int end) {
  global const int *layout = operands->layout;
  const int extent = layout[layout[0]];
  const REAL p = (REAL)(operands->p), q = (REAL)(operands->q);
  for (int index = first; index < end;) {
    const int run = min(end - index, extent - index % extent);
    global const float *sources[INPUTS];
    int strides[INPUTS];
#pragma unroll
    for (int i = 0; i < INPUTS; ++i) {
      sources[i] = operands->x[i] + place_of(layout, i + 1, index);
      strides[i] = last_stride(layout, i + 1);
    }
    for (int j = 0; j < run; j += WIDTH) {
      REAL values[4] = {ZERO, ZERO, ZERO, ZERO};
#pragma unroll
      for (int i = 0; i < INPUTS; ++i) {
        values[i] = load_strided(sources[i] + j * strides[i], strides[i], run - j);
      }
      store_lanes(apply(values, p, q), operands->y + index + j, run - j);
    }
    index += run;
  }
}

/// y = the function of INPUTS of x0, x1, x2, x3. Global size: at least ceil(count / ITEM).
kernel void elementwise(global const float *x0, global const float *x1, global const float *x2,
                        global const float *x3, global float *y, global const int *layout,
                        int count, float p, float q) {
  const Operands operands = {.x = {x0, x1, x2, x3}, .y = y, .layout = layout, .p = p, .q = q};
  const int first = get_global_id(0) * ITEM;
  apply_items(&operands, first, min(first + ITEM, count));
}

#else
/// Reads `rows` rows of `columns` elements of an operand; in `tile` rows are `pitch` apart.
INLINE void read_tile(float *tile, int pitch, global const float *x, int down, int along, int rows,
                      int columns) {
  if (down == 1) {
    for (int k = 0; k < columns; ++k) {
      float lanes[WIDTH];
      VSTORE(load_lanes(x + (size_t)k * along, rows), 0, lanes);
      for (int i = 0; i < rows; ++i) tile[i * pitch + k] = lanes[i];
    }
  } else if (along == 1) {
    // What is written behind a row is written again.
    for (int i = 0; i < rows; ++i) {
      VSTORE(load_lanes(x + (size_t)i * down, columns), 0, tile + i * pitch);
    }
  } else {
    for (int i = 0; i < rows; ++i) {
      for (int k = 0; k < columns; ++k) tile[i * pitch + k] = x[i * down + k * along];
    }
  }
}

/// Up to WIDTH rows of a plane, the last two axes: rows of fewer elements than a vector fill
/// vectors together, and operands that lie along the columns are read by vectors.
OUTLINE void apply_rows(const Operands *operands, int plane, int first) {
  global const int *layout = operands->layout;
  const int rank = layout[0], R = layout[rank - 1], C = layout[rank];
  const int rows = min(WIDTH, R - first), pitch = min(WIDTH, C);
  for (int column = 0; column < C; column += pitch) {
    const int columns = min(pitch, C - column), index = (plane * R + first) * C + column;
    float tiles[INPUTS][WIDTH * WIDTH + WIDTH];
#pragma unroll
    for (int i = 0; i < INPUTS; ++i) {
      read_tile(tiles[i], pitch, operands->x[i] + place_of(layout, i + 1, index),
                stride_of(layout, i + 1, rank - 2), last_stride(layout, i + 1), rows, columns);
    }
    const int count = rows * pitch;
    for (int j = 0; j < count; j += WIDTH) {
      REAL values[4] = {ZERO, ZERO, ZERO, ZERO};
#pragma unroll
      for (int i = 0; i < INPUTS; ++i) values[i] = VLOAD(0, tiles[i] + j);
      const REAL y = apply(values, (REAL)(operands->p), (REAL)(operands->q));
      if (pitch == C) store_lanes(y, operands->y + index + j, count - j);
      else store_lanes(y, operands->y + index + j / WIDTH * C, columns);
    }
  }
}

/// The same for planes of several rows. Global size: ceil(rows / WIDTH), planes.
kernel void elementwise_planes(global const float *x0, global const float *x1,
                               global const float *x2, global const float *x3, global float *y,
                               global const int *layout, float p, float q) {
  const Operands operands = {.x = {x0, x1, x2, x3}, .y = y, .layout = layout, .p = p, .q = q};
  apply_rows(&operands, get_global_id(1), get_global_id(0) * WIDTH);
}
#endif
