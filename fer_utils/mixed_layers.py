"""Convolutions that multiply in bfloat16 and leave everything else in float32, for training on CPUs with AVX512-BF16.

Keras' `mixed_bfloat16` also runs depthwise convolutions, BatchNorm and activations in bfloat16, where the CPU has no
fast kernels: it is slower than float32 there. Here only what becomes a matrix product is cast, so the fast unit works
and the rest keeps its precision. Weights, gradients and the averaged network stay float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

__all__ = ["with_bfloat16_products"]


def with_bfloat16_products(backbone: keras.Model) -> keras.Model:
    """A copy of `backbone` (same weights, same order) whose convolutions multiply in bfloat16.

    Conv2D and the pointwise half of SeparableConv2D are replaced; depthwise convolutions are not.
    """
    import keras

    def cast(value, dtype):
        return keras.ops.cast(value, dtype)

    class Convolution(keras.layers.Conv2D):
        def call(self, inputs):
            outputs = keras.ops.conv(
                cast(inputs, "bfloat16"),
                cast(self.kernel, "bfloat16"),
                strides=list(self.strides),
                padding=self.padding,
                dilation_rate=self.dilation_rate,
            )
            outputs = cast(outputs, "float32")
            return self.activation(outputs + self.bias if self.use_bias else outputs)

    class Separable(keras.layers.SeparableConv2D):
        def call(self, inputs):
            spatial = keras.ops.depthwise_conv(
                inputs,
                self.depthwise_kernel,
                strides=self.strides,
                padding=self.padding,
                dilation_rate=self.dilation_rate,
            )
            outputs = keras.ops.conv(
                cast(spatial, "bfloat16"), cast(self.pointwise_kernel, "bfloat16"), padding="valid"
            )
            outputs = cast(outputs, "float32")
            return self.activation(outputs + self.bias if self.use_bias else outputs)

    kinds = {keras.layers.Conv2D: Convolution, keras.layers.SeparableConv2D: Separable}

    def replace(layer):
        return kinds.get(type(layer), type(layer)).from_config(layer.get_config())

    copy = keras.models.clone_model(backbone, clone_function=replace)
    copy.set_weights(backbone.get_weights())
    return copy
