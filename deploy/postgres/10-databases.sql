-- Two databases, each with a role of its own that can do nothing elsewhere. Run once, when the data folder is made.
\getenv mlflow_password MLFLOW_DB_PASSWORD
\getenv ledger_password LEDGER_DB_PASSWORD

CREATE ROLE mlflow LOGIN PASSWORD :'mlflow_password';
CREATE ROLE ledger LOGIN PASSWORD :'ledger_password';

CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE ledger OWNER ledger;

REVOKE ALL ON DATABASE mlflow, ledger, postgres FROM PUBLIC;
