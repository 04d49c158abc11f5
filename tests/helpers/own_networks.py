"""Build functions as users write them."""


def perceptron(meta, units=8, activation="relu", ending=None, seed=None):
    """One hidden layer; ``ending`` is the last layer's activation."""
    import keras

    X = keras.Input(meta.input_shape)
    hidden = keras.layers.Dense(units, activation)(keras.layers.Flatten()(X))
    hidden = keras.layers.Dropout(0.2, seed=seed)(hidden)
    return keras.Model(X, keras.layers.Dense(meta.n_outputs, ending)(hidden))


def no_model(meta):
    """What is no Keras model."""
    return "a model"


def two_units(meta):
    """A model whose last layer does not suit two classes."""
    import keras

    X = keras.Input(meta.input_shape)
    return keras.Model(X, keras.layers.Dense(2, "softmax")(X))
