// How far predictions are from targets.
//
// Layouts: predictions and grad_predictions [M, O P], targets [M, O], counted [M] or null.

// The losses of LossBackend.swift, by number.
#define SQUARED 0
#define ABSOLUTE 1
#define HUBER 2
#define QUANTILE 3
#define GAUSSIAN 4
#define BOUNDED_GAUSSIAN 5

/// A loss, and the gradients of the first two predictions that it is made of.
typedef struct {
  float loss, gradient, gradient2;
} Judgement;

/// Minus, zero or plus one with the sign of x; NaN for NaN.
static inline float sign_of(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x; }

/// Of one prediction; `parameter` is delta, or the quantile's level.
static inline Judgement judge(int kind, float prediction, float target, float parameter) {
  const float error = prediction - target, distance = fabs(error);
  Judgement result = {error * error, 2.0f * error, 0.0f};
  if (kind == ABSOLUTE) {
    result.loss = distance;
    result.gradient = sign_of(error);
  } else if (kind == HUBER) {
    const int is_far = distance > parameter;
    result.loss = is_far ? parameter * (distance - 0.5f * parameter) : 0.5f * error * error;
    result.gradient = is_far ? parameter * sign_of(error) : error;
  } else if (kind == QUANTILE) {
    const float slope = error > 0.0f ? 1.0f - parameter : error < 0.0f ? -parameter : error;
    result.loss = slope * error;
    result.gradient = slope;
  }
  return result;
}

/// Of a mean and the logarithm of a variance.
static inline Judgement judge_gaussian(float mean, float log_variance, float target) {
  const float error = mean - target, precision = exp(-log_variance);
  const float squared = error * error * precision;
  const Judgement result = {0.5f * (log_variance + squared), error * precision,
                            0.5f - 0.5f * squared};
  return result;
}

/// Of a mean and the logarithm of a deviation, kept within -bound and bound.
static inline Judgement judge_bounded(float mean, float log_deviation, float target, float bound) {
  const float s = log_deviation;
  const float kept = s < -bound ? -bound : s > bound ? bound : s, precision = exp(-kept);
  const float z = (mean - target) * precision, log_root_2_pi = 0.91893853f;
  const Judgement result = {fma(0.5f * z, z, kept + log_root_2_pi), z * precision,
                            fabs(s) < bound ? 1.0f - z * z : 0.0f};
  return result;
}

/// losses[m] = the sum of the losses of row m, 0 where counted[m] is 0; where `grad_predictions` is
/// not null it receives `scale` times their gradients, or 0. It may be `predictions`. `levels` are
/// the P levels of quantiles, `delta` is Huber's, or the bound of a deviation. Global size: M.
kernel void regression_loss(global const float *predictions, global const float *targets,
                            global const int *counted, global float *grad_predictions,
                            global const float *levels, global float *losses, int kind, int O,
                            int P, float delta, float scale) {
  const size_t m = get_global_id(0);
  const int counts = !counted || counted[m], is_pair = kind >= GAUSSIAN;
  float sum = 0.0f;
  for (int o = 0; o < O; ++o) {
    const float target = counts ? targets[m * O + o] : 0.0f;
    for (int i = 0; i < P; i += is_pair ? 2 : 1) {
      const size_t place = (m * O + o) * P + i;
      Judgement result = {0.0f, 0.0f, 0.0f};
      if (counts && kind == GAUSSIAN) {
        result = judge_gaussian(predictions[place], predictions[place + 1], target);
      } else if (counts && is_pair) {
        result = judge_bounded(predictions[place], predictions[place + 1], target, delta);
      } else if (counts) {
        result = judge(kind, predictions[place], target, levels ? levels[i] : delta);
      }
      sum += result.loss;
      if (!grad_predictions) continue;
      grad_predictions[place] = scale * result.gradient;
      if (is_pair) grad_predictions[place + 1] = scale * result.gradient2;
    }
  }
  losses[m] = sum;
}
