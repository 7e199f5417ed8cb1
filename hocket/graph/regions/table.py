"""The rules: every operator kind that can be divided, and the function that says how.

A kind that is not here is computed whole wherever any of it is needed: never wrong, and no use for splitting.
"""

from hocket.graph.regions import (
    attention,
    attention_keys,
    convolution,
    elementwise,
    group_attention,
    indexing,
    matrix,
    normalization,
    pooling,
    recurrent,
    reduction,
    reshaping,
    resize,
    shape,
    statistics,
)
from hocket.graph.regions.rule import Entry

_CONVOLUTION = Entry(rule=convolution.convolution, contractions=convolution.convolution_contractions)
_GLOBAL_POOL = Entry(rule=pooling.global_pool, contractions=pooling.global_pool_contractions)
_POOL = Entry(rule=pooling.pool)
_MATMUL = Entry(rule=matrix.matmul, contractions=matrix.matmul_contractions)
_RESHAPE = Entry(rule=reshaping.reshaping)
_ALONG_AXIS = Entry(rule=reduction.along_axis)
_RECURRENT = Entry(rule=recurrent.recurrent)
_QUANTISE = Entry(rule=elementwise.quantise)
_LAYER = Entry(rule=normalization.layer_normalization)

RULES: dict[str, Entry] = {
    **dict.fromkeys(elementwise.KINDS, Entry(rule=elementwise.elementwise)),
    "Identity": Entry(rule=elementwise.identity),
    "Dropout": Entry(rule=elementwise.identity),
    "QuantizeLinear": _QUANTISE,
    "DequantizeLinear": _QUANTISE,
    "DynamicQuantizeLinear": Entry(rule=elementwise.dynamic_quantise),
    "Conv": _CONVOLUTION,
    "ConvInteger": _CONVOLUTION,
    "QLinearConv": Entry(rule=convolution.convolution),
    "ConvTranspose": Entry(rule=convolution.transposed_convolution, contractions=convolution.transposed_contractions),
    "MaxPool": _POOL,
    "AveragePool": _POOL,
    "LpPool": _POOL,
    "GlobalAveragePool": _GLOBAL_POOL,
    "GlobalMaxPool": _GLOBAL_POOL,
    "GlobalLpPool": _GLOBAL_POOL,
    **dict.fromkeys(reduction.COMBINES, Entry(rule=reduction.reduction, contractions=reduction.reduction_contractions)),
    "ArgMax": Entry(rule=reduction.arg_reduction),
    "ArgMin": Entry(rule=reduction.arg_reduction),
    "Softmax": _ALONG_AXIS,
    "LogSoftmax": _ALONG_AXIS,
    "Hardmax": _ALONG_AXIS,
    "LpNormalization": _ALONG_AXIS,
    "CumSum": _ALONG_AXIS,
    "TopK": Entry(rule=reduction.top_k),
    "MatMul": _MATMUL,
    "MatMulInteger": _MATMUL,
    "Gemm": Entry(rule=matrix.gemm, contractions=matrix.gemm_contractions),
    "Einsum": Entry(rule=matrix.einsum, contractions=matrix.einsum_contractions),
    "com.microsoft.MatMulNBits": Entry(rule=matrix.block_matmul, contractions=matrix.block_matmul_contractions),
    "Reshape": _RESHAPE,
    "Flatten": _RESHAPE,
    "Squeeze": _RESHAPE,
    "Unsqueeze": _RESHAPE,
    "DepthToSpace": Entry(rule=reshaping.depth_to_space),
    "SpaceToDepth": Entry(rule=reshaping.space_to_depth),
    "Transpose": Entry(rule=shape.transpose),
    "Concat": Entry(rule=shape.concat),
    "Split": Entry(rule=shape.split),
    "Slice": Entry(rule=shape.sliced),
    "Pad": Entry(rule=shape.pad),
    "Expand": Entry(rule=shape.expand),
    "Tile": Entry(rule=shape.tile),
    "Trilu": Entry(rule=shape.triangle),
    "Gather": Entry(rule=indexing.gather, contractions=indexing.gather_contractions),
    "GatherElements": Entry(rule=indexing.gather_elements),
    "OneHot": Entry(rule=indexing.one_hot),
    "BatchNormalization": Entry(rule=normalization.batch_normalization),
    "LayerNormalization": _LAYER,
    "RMSNormalization": _LAYER,
    "InstanceNormalization": Entry(rule=normalization.instance_normalization),
    "GroupNormalization": Entry(rule=normalization.group_normalization),
    "LRN": Entry(rule=normalization.local_response),
    "MeanVarianceNormalization": Entry(rule=normalization.mean_variance),
    "Attention": Entry(
        rule=attention.attention,
        contractions=attention_keys.attention_contractions,
        partial=attention_keys.partial_attention,
    ),
    "com.microsoft.GroupQueryAttention": Entry(rule=group_attention.group_attention),
    "RotaryEmbedding": Entry(rule=attention.rotary),
    statistics.MOMENTS: Entry(rule=statistics.moments, contractions=statistics.moments_contractions),
    statistics.NORMALISE: Entry(rule=statistics.normalise),
    "Resize": Entry(rule=resize.resize),
    "LSTM": _RECURRENT,
    "GRU": _RECURRENT,
    "RNN": _RECURRENT,
}
