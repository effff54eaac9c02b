// The squared error of predictions.
//
// Layouts: predictions, targets and grad_predictions [M, O], counted [M].

/// losses[m] = sum over o of (predictions[m, o] - targets[m, o])^2 where counted[m] is not 0, else
/// 0, whatever the row's targets hold; where `grad_predictions` is not null, grad_predictions[m, o]
/// = 2 scale (predictions[m, o] - targets[m, o]) or 0. It may be `predictions`. Global size: M.
kernel void squared_error(global const float *predictions, global const float *targets,
                          global const int *counted, global float *grad_predictions,
                          global float *losses, int O, float scale) {
  const size_t m = get_global_id(0);
  float sum = 0.0f;
  for (size_t i = m * O; i < (m + 1) * O; ++i) {
    const float error = counted[m] ? predictions[i] - targets[i] : 0.0f;
    sum = fma(error, error, sum);
    if (grad_predictions) grad_predictions[i] = 2.0f * scale * error;
  }
  losses[m] = sum;
}
