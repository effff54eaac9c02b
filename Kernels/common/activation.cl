// Activation functions on REAL (a float, or a vector of floats), the same bits on every lane and
// width.
//
// NaN goes in and NaN comes out: clamping is by comparison, which NaN fails, and no result is put
// together from bits that a NaN did not pass through arithmetically.

#include "common/vector.cl"

/// The numbers of the functions below: bounds, the parts of the exponential and the coefficients of
/// its polynomial, then those of tanh.
typedef struct {
  REAL exponential_least, sigmoid_least, sigmoid_most, log2_e, rounding, ln2_high, ln2_low, one;
  REAL e2, e3, e4, e5, e6, tanh_most, double_log2_e, half_ln2, t3, t5, t7, three;
} Numbers;
constant const Numbers numbers = {
    .exponential_least = (REAL)(-88.0f),
    .sigmoid_least = (REAL)(-88.5f),
    .sigmoid_most = (REAL)(88.0f),
    .log2_e = (REAL)(1.44269504f),
    .rounding = (REAL)(12583039.0f), // 1.5 * 2^23 + 127
    .ln2_high = (REAL)(0.693145752f),
    .ln2_low = (REAL)(1.42860677e-6f),
    .one = (REAL)(1.0f),
    .e2 = (REAL)(4.99999940e-1f),
    .e3 = (REAL)(1.66665211e-1f),
    .e4 = (REAL)(4.16683890e-2f),
    .e5 = (REAL)(8.36871658e-3f),
    .e6 = (REAL)(1.38145988e-3f),
    .tanh_most = (REAL)(10.0f),
    .double_log2_e = (REAL)(2.88539004f),
    .half_ln2 = (REAL)(0.346573591f),
    .t3 = (REAL)(-0.333333224f),
    .t5 = (REAL)(0.133311838f),
    .t7 = (REAL)(-0.0527267791f),
    .three = (REAL)(3.0f),
};

/// The numbers, as operands in memory where they are more vectors than there are registers. Told
/// their values, Clang for AVX2 loads each into a register of its own and saves others to make
/// room: half as many instructions again, and the steps of an LSTM T50 N32 C20 H128 take 5 to 8 %
/// longer, a GRU's 2 to 3 % (Zen 3).
INLINE constant const Numbers *the_numbers(void) {
  constant const Numbers *result = &numbers;
#if IS_PROCESSOR && defined(__AVX2__) && !defined(__AVX512F__)
  __asm__("" : "+r"(result));
#endif
  return result;
}

/// p of e^(sign x) = (1 + p r) scale for -88 <= sign x <= 88.5; sign is 1 or -1. p is a polynomial
/// of degree 5 in `r`, |r| <= ln(2)/2, where sign x = n ln 2 + r with ln 2 in two parts (Cody &
/// Waite 1980); the error of 1 + p r, minimized by Remez' algorithm, is 3e-9 of its value. `scale`
/// receives 2^n, which is 0 for n = -127 and infinite for n = 128.
INLINE REAL exponential_parts(const float sign, REAL x, REAL *rest, REAL *scale) {
  constant const Numbers *c = the_numbers();
  // Adding 1.5 * 2^23 + 127 leaves n + 127 in the low bits, with n the nearest integer: shifted to
  // the place of an exponent they are those of 2^n.
  const REAL shifted = fma(x, sign * c->log2_e, c->rounding);
  const REAL n = shifted - c->rounding;
  REAL r = fma(n, -c->ln2_high, sign * x);
  r = fma(n, -c->ln2_low, r);
  REAL p = fma(r, c->e6, c->e5);
  p = fma(p, r, c->e4);
  p = fma(p, r, c->e3);
  p = fma(p, r, c->e2);
  *rest = r;
  *scale = AS_REAL(AS_INTEGER(shifted) << 23);
  return fma(p, r, c->one);
}

/// e^x for x <= 0. Below -87.68, where it is less than every normal number, 0.
INLINE REAL exponential(REAL x) {
  constant const Numbers *c = the_numbers();
  x = x < c->exponential_least ? c->exponential_least : x;
  REAL r, scale;
  const REAL p = exponential_parts(1.0f, x, &r, &scale);
  return fma(p, r, c->one) * scale;
}

/// e^x - 1 for x <= 0, as accurate near 0 as elsewhere.
INLINE REAL exponential_minus_one(REAL x) {
  constant const Numbers *c = the_numbers();
  x = x < c->exponential_least ? c->exponential_least : x;
  REAL r, scale;
  const REAL p = exponential_parts(1.0f, x, &r, &scale);
  return fma(p * r, scale, scale - c->one);
}

/// The logistic function 1 / (1 + e^-x). Below x = -88.37, where it is less than every normal
/// number, 0.
INLINE REAL sigmoid(REAL x) {
  constant const Numbers *c = the_numbers();
  x = x > c->sigmoid_most ? c->sigmoid_most : x;
  x = x < c->sigmoid_least ? c->sigmoid_least : x;
  REAL r, scale;
  const REAL p = exponential_parts(-1.0f, x, &r, &scale);
  return c->one / fma(fma(p, r, c->one), scale, c->one);
}

/// tanh x. With |x| = n ln(2)/2 + w, t = tanh w and u = 2^-n the addition theorem says
///
///   tanh |x| = (1 - u + (1 + u) t) / (1 + u + (1 - u) t)
///            = 1 - u + u ((3 - u) t - (1 - u)) / (1 + u + (1 - u) t).
///
/// The last form rounds a quotient that tends to 0 where tanh |x| tends to 1, so that 1 - tanh²
/// keeps its digits; for n = 0 it is t, an odd polynomial of degree 7 in |w| <= ln(2)/4 with an
/// error of 2e-10 of its value.
INLINE REAL hyperbolic_tangent(REAL x) {
  constant const Numbers *c = the_numbers();
  const INTEGER sign = AS_INTEGER(x) & (INTEGER)(-0x7fffffff - 1);
  REAL a = AS_REAL(AS_INTEGER(x) ^ sign);
  a = a > c->tanh_most ? c->tanh_most : a;
  // -n, so that shifted to an exponent it is u.
  const REAL shifted = fma(a, -c->double_log2_e, c->rounding);
  const REAL n = c->rounding - shifted;
  const REAL w = fma(n, -c->half_ln2, a);
  const REAL s = w * w;
  REAL p = fma(s, c->t7, c->t5);
  p = fma(p, s, c->t3);
  const REAL t = fma(w * s, p, w);
  const REAL u = AS_REAL(AS_INTEGER(shifted) << 23);
  const REAL limit = c->one - u;
  const REAL quotient = fma(c->three - u, t, -limit) / fma(limit, t, c->one + u);
  const REAL y = fma(u, quotient, limit);
  return AS_REAL(AS_INTEGER(y) | sign);
}

// The functions of Sources/CarouselModel/Activation.swift, by number. ACT_n, ALPHA_n and BETA_n say
// which one a cell applies where it writes ACTIVATE(n, x), and SLOPE(n, y) is its derivative where
// the result was y.
#define SIGMOID 0
#define TANH 1
#define RELU 2
#define AFFINE 3
#define LEAKY_RELU 4
#define THRESHOLDED_RELU 5
#define SCALED_TANH 6
#define HARD_SIGMOID 7
#define ELU 8
#define SOFTSIGN 9
#define SOFTPLUS 10
#define CONSTANT 11
#define POSITIVE 12
#define ACTIVATE(n, x) activate(ACT_##n, (REAL)(ALPHA_##n), (REAL)(BETA_##n), x)
#define SLOPE(n, y) activation_slope(ACT_##n, (REAL)(ALPHA_##n), (REAL)(BETA_##n), y)

/// The function's value; `function` is a constant wherever this is called.
INLINE REAL activate(const int function, REAL alpha, REAL beta, REAL x) {
  const REAL zero = (REAL)(0.0f), one = (REAL)(1.0f);
  switch (function) {
  case SIGMOID:
    return sigmoid(x);
  case TANH:
    return hyperbolic_tangent(x);
  case RELU:
    return x < zero ? zero : x;
  case AFFINE:
    return fma(alpha, x, beta);
  case LEAKY_RELU:
    return x < zero ? alpha * x : x;
  case THRESHOLDED_RELU:
    return x <= alpha ? zero : x;
  case SCALED_TANH:
    return alpha * hyperbolic_tangent(beta * x);
  case HARD_SIGMOID: {
    const REAL y = fma(alpha, x, beta);
    return y < zero ? zero : y > one ? one : y;
  }
  case ELU:
    return x < zero ? alpha * exponential_minus_one(x) : x;
  case SOFTSIGN: {
    // From 2^25 on 1 + |x| is |x|.
    const REAL most = (REAL)(33554432.0f);
    x = x > most ? most : x;
    x = x < -most ? -most : x;
    return x / (one + fabs(x));
  }
  case SOFTPLUS:
    return (x < zero ? zero : x) + log1p(exponential(-fabs(x)));
  case POSITIVE:
    return x < zero ? sigmoid(x) : x + (REAL)(0.5f);
  default:
    return alpha;
  }
}

/// The function's derivative where its value was y. What is subtracted from a limit is exact where
/// y is near to it: the slope is that of y as it was rounded.
INLINE REAL activation_slope(const int function, REAL alpha, REAL beta, REAL y) {
  const REAL zero = (REAL)(0.0f), one = (REAL)(1.0f);
  switch (function) {
  case SIGMOID:
    return y * (one - y);
  case TANH:
    return fma(-y, y, one);
  case RELU:
    return y > zero ? one : zero;
  case AFFINE:
    return alpha;
  case LEAKY_RELU:
    return y > zero ? one : alpha;
  case THRESHOLDED_RELU:
    return y > zero ? one : zero;
  case SCALED_TANH:
    return beta / alpha * ((alpha - y) * (alpha + y));
  case HARD_SIGMOID:
    return (y > zero ? one : zero) * (y < one ? alpha : zero);
  case ELU:
    return y > zero ? one : y + alpha;
  case SOFTSIGN:
    return (one - fabs(y)) * (one - fabs(y));
  case SOFTPLUS:
    return -exponential_minus_one(-y);
  case POSITIVE:
    return y > (REAL)(0.5f) ? one : y * (one - y);
  default:
    return zero;
  }
}

/// The peephole weights of one unit, or of a vector of units; here because every cell and layer.cl
/// include this file. For cells without them whatever it holds is never read.
typedef struct {
  REAL input, forget, output;
} Peepholes;
