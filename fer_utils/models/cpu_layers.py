"""Layers that compute the same with less work, for training on CPUs.

A 1 × 1 convolution becomes one matrix product, and BatchNorm trains with TensorFlow's fused kernel in place of Keras'
chain of element-wise operations. AdamW updates each weight in 4 passes over memory in place of Keras' 17.

On CPUs with AVX512-BF16 or AMX the products multiply in bfloat16. Keras' `mixed_bfloat16` also runs depthwise
convolutions, BatchNorm and activations in it, where the CPU has no fast kernels: it is slower than float32 there. Here
only what becomes a product is cast; weights and gradients stay float32. Other CPUs emulate bfloat16, several times
slower than float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

PRECISIONS = ("float32", "bfloat16")


def _cpu_flags() -> set[str]:
    try:
        return set(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split())
    except OSError:  # macOS, Windows: unknown
        return set()


def native_precision() -> str:
    """"bfloat16" where this CPU multiplies it in hardware, else "float32", which is always safe."""
    return "bfloat16" if {"avx512_bf16", "amx_bf16"} & _cpu_flags() else "float32"


def _product(inputs, kernel, dtype: str):
    """A 1 × 1 convolution as one matrix product (a third faster than the convolution on small maps)."""
    import tensorflow as tf

    channels, filters = kernel.shape[-2:]
    rows = tf.reshape(tf.cast(inputs, dtype), [-1, channels])
    outputs = tf.matmul(rows, tf.cast(tf.reshape(kernel, [channels, filters]), dtype))
    return tf.reshape(tf.cast(outputs, tf.float32), tf.concat([tf.shape(inputs)[:-1], [filters]], 0))


def _batchnorm(inputs, gamma, beta, epsilon: float):
    """BatchNorm of a batch: outputs, its means and its variances.

    With AVX-512, oneDNN is several times slower where the channels are no multiple of 16 (Xception has 728): the
    inputs are padded on the way there. The way back knows no such gap.
    """
    import tensorflow as tf

    channels = inputs.shape[-1]
    empty = tf.zeros([-channels % 16 if "avx512f" in _cpu_flags() else 0])
    options = {"epsilon": epsilon, "is_training": True}

    @tf.custom_gradient
    def norm(x, scale, offset):
        wide, scale_, offset_ = x, *(tf.concat([vector, empty], 0) for vector in (scale, offset))
        if empty.shape[0]:
            wide = tf.pad(x, [[0, 0], [0, 0], [0, 0], [0, empty.shape[0]]])
        found = tf.raw_ops.FusedBatchNormV3(x=wide, scale=scale_, offset=offset_, mean=empty, variance=empty, **options)
        kept = {f"reserve_space_{i}": getattr(found, f"reserve_space_{i}")[:channels] for i in (1, 2)}

        def gradient(upstream, *_):
            return tf.raw_ops.FusedBatchNormGradV3(y_backprop=upstream, x=x, scale=scale,
                                                   reserve_space_3=found.reserve_space_3, **kept, **options)[:3]

        return (found.y[..., :channels], found.batch_mean[:channels], found.batch_variance[:channels]), gradient

    return norm(inputs, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))


def _layers(dtype: str) -> dict[type, type]:
    import keras
    import tensorflow as tf

    class Convolution(keras.layers.Conv2D):
        def convolution_op(self, inputs, kernel):
            if self.kernel_size == (1, 1) and self.strides == (1, 1) and self.groups == 1:
                return _product(inputs, kernel, dtype)
            return tf.cast(super().convolution_op(tf.cast(inputs, dtype), tf.cast(kernel, dtype)), tf.float32)

    class Separable(keras.layers.SeparableConv2D):
        def call(self, inputs):
            spatial = keras.ops.depthwise_conv(inputs, self.depthwise_kernel, self.strides, self.padding,
                                               dilation_rate=self.dilation_rate)
            outputs = _product(spatial, self.pointwise_kernel, dtype)
            return self.activation(outputs + self.bias if self.use_bias else outputs)

    class Norm(keras.layers.BatchNormalization):
        def call(self, inputs, training=None, mask=None):
            if not (training and self.trainable and len(inputs.shape) == 4 and self.scale and self.center):
                return super().call(inputs, training=training, mask=mask)
            outputs, mean, variance = _batchnorm(inputs, self.gamma, self.beta, self.epsilon)
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + tf.stop_gradient(batch) * (1 - self.momentum))
            return outputs

    return {keras.layers.Conv2D: Convolution, keras.layers.SeparableConv2D: Separable,
            keras.layers.BatchNormalization: Norm}


def with_fast_layers(backbone: keras.Model, dtype: str = "float32") -> keras.Model:
    """A copy of `backbone` (same weights, same order) that trains faster; the same up to rounding.

    `dtype`, one of `PRECISIONS`: what Conv2D and the pointwise half of SeparableConv2D multiply in.
    """
    import keras

    kinds = _layers(dtype)
    copy = keras.models.clone_model(
        backbone, clone_function=lambda layer: kinds.get(type(layer), type(layer)).from_config(layer.get_config())
    )
    copy.set_weights(backbone.get_weights())
    return copy


def adamw(schedule: keras.optimizers.schedules.LearningRateSchedule, **options: object) -> keras.optimizers.AdamW:
    """Keras' AdamW with the same arguments and the same updates up to rounding, by TensorFlow's fused kernels."""
    import keras
    import tensorflow as tf

    def subtract(variable, rate, delta):
        tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=rate, delta=delta)

    class AdamW(keras.optimizers.AdamW):
        def _apply_weight_decay(self, variables):
            for variable in filter(self._use_weight_decay, variables):
                subtract(variable.value, self.weight_decay * self.learning_rate, variable.value)

        def update_step(self, gradient, variable, learning_rate):
            place, step = self._get_variable_index(variable), tf.cast(self.iterations + 1, tf.float32)
            tf.raw_ops.ResourceApplyAdam(var=variable.handle, m=self._momentums[place].value.handle,
                                         v=self._velocities[place].value.handle, beta1_power=self.beta_1**step,
                                         beta2_power=self.beta_2**step, lr=learning_rate, beta1=self.beta_1,
                                         beta2=self.beta_2, epsilon=self.epsilon, grad=gradient)

        def _update_model_variables_moving_average(self, variables):
            rate = 1 - self.ema_momentum * tf.cast(self.iterations > 0, tf.float32)
            for variable, average in zip(variables, self._model_variables_moving_average, strict=True):
                subtract(average.value, rate, average.value - variable.value)

    return AdamW(schedule, **options)
