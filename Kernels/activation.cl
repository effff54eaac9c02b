// Activation functions on REAL (a float, or a vector of floats), the same bits on every lane and
// width.
//
// NaN goes in and NaN comes out: clamping is by comparison, which NaN fails, and no result is put
// together from bits that a NaN did not pass through arithmetically.
//
// Assumes vector.cl before it.

/// The numbers of the functions below: bounds, the parts of the exponential and the coefficients of
/// its polynomial, those of the numerator and the denominator of tanh.
typedef struct {
  REAL most, least, log2_e, rounding, ln2_high, ln2_low, one, e2, e3, e4, e5, e6;
  REAL tanh_most, tanh_least, p1, p3, p5, p7, p9, p11, p13, q0, q2, q4, q6;
} Numbers;
constant const Numbers numbers = {
    .most = (REAL)(87.0f),
    .least = (REAL)(-87.0f),
    .log2_e = (REAL)(1.44269504f),
    .rounding = (REAL)(12582912.0f),
    .ln2_high = (REAL)(0.693145752f),
    .ln2_low = (REAL)(1.42860677e-6f),
    .one = (REAL)(1.0f),
    .e2 = (REAL)(4.99999940e-1f),
    .e3 = (REAL)(1.66665211e-1f),
    .e4 = (REAL)(4.16683890e-2f),
    .e5 = (REAL)(8.36871658e-3f),
    .e6 = (REAL)(1.38145988e-3f),
    .tanh_most = (REAL)(7.90531111f),
    .tanh_least = (REAL)(-7.90531111f),
    .p1 = (REAL)(4.89352455891786e-3f),
    .p3 = (REAL)(6.37261928875436e-4f),
    .p5 = (REAL)(1.48572235717979e-5f),
    .p7 = (REAL)(5.12229709037114e-8f),
    .p9 = (REAL)(-8.60467152213735e-11f),
    .p11 = (REAL)(2.00018790482477e-13f),
    .p13 = (REAL)(-2.76076847742355e-16f),
    .q0 = (REAL)(4.89352518554385e-3f),
    .q2 = (REAL)(2.26843463243900e-3f),
    .q4 = (REAL)(1.18534705686654e-4f),
    .q6 = (REAL)(1.19825839466702e-6f),
};

/// The numbers, as operands in memory where they are more vectors than there are registers. Told
/// their values, Clang for AVX2 loads each into a register of its own and saves others to make
/// room: half as many instructions again.
INLINE constant const Numbers *the_numbers(void) {
  constant const Numbers *result = &numbers;
#if IS_PROCESSOR && defined(__AVX2__) && !defined(__AVX512F__)
  __asm__("" : "+r"(result));
#endif
  return result;
}

/// e^(sign x) as a factor of the power of two that `scale` receives; sign is 1 or -1. Clamped
/// beyond -87 <= x <= 87. The factor is a polynomial of degree 6 on |r| <= ln(2)/2, where sign x =
/// n ln 2 + r with ln 2 in two parts (Cody & Waite 1980). Its own error, minimized by Remez'
/// algorithm, is 3e-9 of its value.
INLINE REAL scaled_exponential(const float sign, REAL x, REAL *scale) {
  constant const Numbers *c = the_numbers();
  x = x > c->most ? c->most : x;
  x = x < c->least ? c->least : x;
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits.
  const REAL shifted = fma(x, sign * c->log2_e, c->rounding);
  const REAL n = shifted - c->rounding;
  REAL r = fma(n, -c->ln2_high, sign * x);
  r = fma(n, -c->ln2_low, r);
  REAL p = fma(r, c->e6, c->e5);
  p = fma(p, r, c->e4);
  p = fma(p, r, c->e3);
  p = fma(p, r, c->e2);
  p = fma(p, r, c->one);
  *scale = AS_REAL((AS_INTEGER(shifted) << 23) + AS_INTEGER(c->one));
  return fma(p, r, c->one);
}

/// e^x, within 1 ulp for -87 <= x <= 87, clamped beyond.
INLINE REAL exponential(REAL x) {
  REAL scale;
  const REAL factor = scaled_exponential(1.0f, x, &scale);
  return factor * scale;
}

/// The logistic function 1 / (1 + e^-x), within 2.5 ulp down to x = -87, where it stays (1.6e-38).
INLINE REAL sigmoid(REAL x) {
  const REAL one = the_numbers()->one;
  REAL scale;
  const REAL factor = scaled_exponential(-1.0f, x, &scale);
  return one / fma(factor, scale, one);
}

/// tanh x: an odd polynomial of degree 13 over an even one of degree 6, the minimax pair used by
/// Eigen and XLA, within 5 ulp. Constant from |x| = 7.9 on, at 1 less 2.5 ulp; never beyond 1.
INLINE REAL hyperbolic_tangent(REAL x) {
  constant const Numbers *c = the_numbers();
  x = x > c->tanh_most ? c->tanh_most : x;
  x = x < c->tanh_least ? c->tanh_least : x;
  const REAL s = x * x;
  REAL p = fma(s, c->p13, c->p11);
  p = fma(p, s, c->p9);
  p = fma(p, s, c->p7);
  p = fma(p, s, c->p5);
  p = fma(p, s, c->p3);
  p = fma(p, s, c->p1);
  REAL q = fma(s, c->q6, c->q4);
  q = fma(q, s, c->q2);
  q = fma(q, s, c->q0);
  return x * (p / q);
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
    return x < zero ? alpha * (exponential(x) - one) : x;
  case SOFTSIGN:
    return x / (one + fabs(x));
  case SOFTPLUS:
    return (x < zero ? zero : x) + log1p(exponential(-fabs(x)));
  default:
    return alpha;
  }
}

/// The function's derivative where its value was y.
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
    return beta * (alpha - y * y / alpha);
  case HARD_SIGMOID:
    return (y > zero ? one : zero) * (y < one ? alpha : zero);
  case ELU:
    return y > zero ? one : y + alpha;
  case SOFTSIGN:
    return (one - fabs(y)) * (one - fabs(y));
  case SOFTPLUS:
    return one - exponential(-y);
  default:
    return zero;
  }
}

/// The peephole weights of one unit, or of a vector of units; for cells without them whatever it
/// holds is never read.
typedef struct {
  REAL input, forget, output;
} Peepholes;
