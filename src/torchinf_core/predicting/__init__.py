"""From what people have to arrays and back: predictors, inputs, outputs, comparison."""
