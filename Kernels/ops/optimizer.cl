// Optimizer steps on all parameters at once.
//
// The gradient g is first scaled by min(1, maximum_norm / (norm + 1e-6)) where `norm` is not
// null.
//
// Parameters:
//   ELEMENTS   elements of one work-item, a multiple of WIDTH.

#include "common/vector.cl"

#ifndef ELEMENTS
#define ELEMENTS WIDTH
#endif

// The elements of a work-item: neighbours on CPUs, on GPUs those of all work-items in turn, so that
// neighbours read neighbours.
#if WIDTH == 1
#define EACH_ELEMENT(i, end, count)                                                                \
  const int end = count;                                                                           \
  for (int i = get_global_id(0); i < end; i += get_global_size(0))
#else
#define EACH_ELEMENT(i, end, count)                                                                \
  const int end = min((int)get_global_id(0) * ELEMENTS + ELEMENTS, count);                         \
  for (int i = get_global_id(0) * ELEMENTS; i < end; i += WIDTH)
#endif

/// The factor that brings the gradient's norm down to the maximum; NaN stays NaN.
inline float clip_factor(global const float *norm, float maximum_norm) {
  if (!norm) return 1.0f;
  const float factor = maximum_norm / (norm[0] + 1e-6f);
  return factor > 1.0f ? 1.0f : factor;
}

/// v = momentum v + g + decay p; p -= rate v. Without momentum `velocity` is null and v = g + decay
/// p. Global size: at least ceil(count / ELEMENTS).
kernel void sgd(global float *parameters, global const float *gradients, global float *velocity,
                global const float *norm, float maximum_norm, int count, float rate, float momentum,
                float decay) {
  const REAL factor = (REAL)(clip_factor(norm, maximum_norm));
  EACH_ELEMENT(i, end, count) {
    REAL p = load_lanes(parameters + i, end - i);
    REAL v = fma((REAL)(decay), p, factor * load_lanes(gradients + i, end - i));
    if (velocity) {
      v = fma((REAL)(momentum), load_lanes(velocity + i, end - i), v);
      store_lanes(v, velocity + i, end - i);
    }
    store_lanes(fma((REAL)(-rate), v, p), parameters + i, end - i);
  }
}

/// m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; p -= rate1 m / (sqrt(v) / root2 +
/// epsilon) with rate1 = rate / (1 - beta1^t) and root2 = sqrt(1 - beta2^t). g has `decay` p added;
/// the parameter itself is first multiplied by `shrink` (1 - rate decay for AdamW, else 1). Global
/// size: at least ceil(count / ELEMENTS).
kernel void
adam(global float *parameters, global const float *gradients, global float *first_moment,
     global float *second_moment, global const float *norm, float maximum_norm, int count,
     float rate1, float root2, float beta1, float one_minus_beta1, float beta2,
     float one_minus_beta2, float epsilon, float decay, float shrink) {
  const REAL factor = (REAL)(clip_factor(norm, maximum_norm));
  EACH_ELEMENT(i, end, count) {
    const int lanes = end - i;
    REAL p = load_lanes(parameters + i, lanes);
    const REAL g = fma((REAL)(decay), p, factor * load_lanes(gradients + i, lanes));
    const REAL m =
        fma((REAL)(beta1), load_lanes(first_moment + i, lanes), (REAL)(one_minus_beta1)*g);
    const REAL v =
        fma((REAL)(beta2), load_lanes(second_moment + i, lanes), (REAL)(one_minus_beta2)*g * g);
    store_lanes(m, first_moment + i, lanes);
    store_lanes(v, second_moment + i, lanes);
    p = p * (REAL)(shrink);
    p = p - (REAL)(rate1)*m / (sqrt(v) / (REAL)(root2) + (REAL)(epsilon));
    store_lanes(p, parameters + i, lanes);
  }
}
