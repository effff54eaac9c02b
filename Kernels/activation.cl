// Activation functions on REAL (a float, or a vector of floats), the same bits on every lane and
// width.
//
// NaN goes in and NaN comes out: clamping is by comparison, which NaN fails, and no result is put
// together from bits that a NaN did not pass through arithmetically.
//
// Assumes vector.cl before it.

/// e^x for -87 <= x <= 87, clamped beyond: 2^n times a polynomial of degree 6 on |r| <= ln(2)/2,
/// where x = n ln 2 + r with ln 2 in two parts (Cody & Waite 1980). Within 1 ulp; the polynomial's
/// own error, minimized by Remez' algorithm, is 3e-9 of its value.
INLINE REAL exponential(REAL x) {
  x = x > (REAL)(87.0f) ? (REAL)(87.0f) : x;
  x = x < (REAL)(-87.0f) ? (REAL)(-87.0f) : x;
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits.
  const REAL shifted = fma(x, (REAL)(1.44269504f), (REAL)(12582912.0f));
  const REAL n = shifted - (REAL)(12582912.0f);
  REAL r = fma(n, (REAL)(-0.693145752f), x);
  r = fma(n, (REAL)(-1.42860677e-6f), r);
  REAL p = fma(r, (REAL)(1.38145988e-3f), (REAL)(8.36871658e-3f));
  p = fma(p, r, (REAL)(4.16683890e-2f));
  p = fma(p, r, (REAL)(1.66665211e-1f));
  p = fma(p, r, (REAL)(4.99999940e-1f));
  p = fma(p * r, r, r) + (REAL)(1.0f);
  const INTEGER exponent = AS_INTEGER(shifted) - (INTEGER)(0x4B400000 - 127);
  return p * AS_REAL(exponent << 23);
}

/// The logistic function 1 / (1 + e^-x), within 2.5 ulp down to x = -87, where it stays (1.6e-38).
INLINE REAL sigmoid(REAL x) { return (REAL)(1.0f) / ((REAL)(1.0f) + exponential(-x)); }

/// tanh x: an odd polynomial of degree 13 over an even one of degree 6, the minimax pair used by
/// Eigen and XLA, within 5 ulp. Constant from |x| = 7.9 on, at 1 less 2.5 ulp; never beyond 1.
INLINE REAL hyperbolic_tangent(REAL x) {
  x = x > (REAL)(7.90531111f) ? (REAL)(7.90531111f) : x;
  x = x < (REAL)(-7.90531111f) ? (REAL)(-7.90531111f) : x;
  const REAL s = x * x;
  REAL p = fma(s, (REAL)(-2.76076847742355e-16f), (REAL)(2.00018790482477e-13f));
  p = fma(p, s, (REAL)(-8.60467152213735e-11f));
  p = fma(p, s, (REAL)(5.12229709037114e-8f));
  p = fma(p, s, (REAL)(1.48572235717979e-5f));
  p = fma(p, s, (REAL)(6.37261928875436e-4f));
  p = fma(p, s, (REAL)(4.89352455891786e-3f));
  REAL q = fma(s, (REAL)(1.19825839466702e-6f), (REAL)(1.18534705686654e-4f));
  q = fma(q, s, (REAL)(2.26843463243900e-3f));
  q = fma(q, s, (REAL)(4.89352518554385e-3f));
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
