"""Save the model for MLflow: `mlflow_model.py MODEL FOLDER`."""

import sys

import lightgbm as lgb
import mlflow.lightgbm

mlflow.lightgbm.save_model(lgb.Booster(model_file=sys.argv[1]), sys.argv[2])
