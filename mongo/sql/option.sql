-- Options: which there are, what they may be, who may set them; and that what is secret
-- stays where it is.

SET client_min_messages = warning;
\getenv port WT_MONGO_PORT
CREATE EXTENSION IF NOT EXISTS windtrap_mongo;
CREATE SERVER IF NOT EXISTS mongo FOREIGN DATA WRAPPER windtrap_mongo OPTIONS (port :'port');
CREATE USER MAPPING IF NOT EXISTS FOR CURRENT_USER SERVER mongo;
RESET client_min_messages;
SET timezone = 'UTC';

\dx+ windtrap_mongo
CREATE SERVER s FOREIGN DATA WRAPPER windtrap_mongo;
-- All of mongo_fdw's.
ALTER SERVER s OPTIONS (address 'localhost', port '27017', authentication_database 'admin', replica_set 'rs', read_preference 'nearest', ssl 'true',
	pem_file '/p', pem_pwd 'x', ca_file '/c', ca_dir '/d', crl_file '/r', weak_cert_validation 'false', use_remote_estimate 'true', enable_join_pushdown 'true',
	enable_aggregate_pushdown 'false', enable_order_by_pushdown 'true');
ALTER SERVER s OPTIONS (server_selection_timeout_ms '1', connect_timeout_ms '1', socket_timeout_ms '0', write_concern 'majority', journal 'false', batch_size '1');
CREATE FOREIGN TABLE t (_id text) SERVER s OPTIONS (database 'd', collection 'c', batch_size '100000', on_duplicate 'error', enable_join_pushdown 'true');
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (username 'u', password 'secret', auth_mechanism 'SCRAM-SHA-256');

-- Nothing else, and in no other place.
ALTER SERVER s OPTIONS (ADD password 'secret');
ALTER SERVER s OPTIONS (ADD username 'u');
ALTER SERVER s OPTIONS (ADD database 'd');
ALTER FOREIGN TABLE t OPTIONS (ADD address 'x');
ALTER FOREIGN TABLE t ALTER _id OPTIONS (ADD column_name 'x');
ALTER USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (ADD port '1');
CREATE FOREIGN DATA WRAPPER w HANDLER windtrap_mongo_handler VALIDATOR windtrap_mongo_validator OPTIONS (x '1');

-- Values.
ALTER SERVER s OPTIONS (SET address 'a b');
ALTER SERVER s OPTIONS (SET address 'u:secret@h');
ALTER SERVER s OPTIONS (SET address '');
ALTER SERVER s OPTIONS (SET address '::1');
ALTER SERVER s OPTIONS (SET address '/tmp/mongodb-27017.sock');
ALTER SERVER s OPTIONS (SET port '65536');
ALTER SERVER s OPTIONS (SET port '1x');
ALTER SERVER s OPTIONS (SET port '99999999999999999999');
ALTER SERVER s OPTIONS (SET read_preference 'any');
ALTER SERVER s OPTIONS (SET ssl 'perhaps');
ALTER SERVER s OPTIONS (SET ca_file 'relative');
ALTER SERVER s OPTIONS (SET connect_timeout_ms '0');
ALTER SERVER s OPTIONS (SET write_concern '0');
ALTER SERVER s OPTIONS (SET write_concern '2');
ALTER SERVER s OPTIONS (SET batch_size '0');
ALTER FOREIGN TABLE t OPTIONS (SET on_duplicate 'update');
ALTER FOREIGN TABLE t OPTIONS (SET database 'a.b');
ALTER FOREIGN TABLE t OPTIONS (SET collection 'a$b');
ALTER USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (SET auth_mechanism 'PLAIN');

-- A connection string: without credentials, files and what there are options for.  What it holds is in no message.
ALTER SERVER s OPTIONS (ADD uri 'mongodb://h/');
ALTER SERVER s OPTIONS (DROP address, DROP port, DROP replica_set);
ALTER SERVER s OPTIONS (ADD uri 'mongodb://h1:1,h2:2/?replicaSet=rs&tls=true&compressors=zstd&retryWrites=true');
ALTER SERVER s OPTIONS (ADD port '1');
ALTER SERVER s OPTIONS (SET uri 'mongodb://u:secret@h/');
ALTER SERVER s OPTIONS (SET uri 'mongodb://u:se/cret@h/');
ALTER SERVER s OPTIONS (SET uri 'http://u:secret@h/');
ALTER SERVER s OPTIONS (SET uri 'mongodb://h/?authMechanism=MONGODB-AWS');
ALTER SERVER s OPTIONS (SET uri 'mongodb://h/?tls=true&tlsCAFile=/etc/passwd');
ALTER SERVER s OPTIONS (SET uri 'mongodb://h/?tlsInsecure=true');
ALTER SERVER s OPTIONS (SET uri 'mongodb://h/?w=0');
ALTER SERVER s OPTIONS (SET uri 'mongodb://h/?socketTimeoutMS=5');
ALTER SERVER s OPTIONS (SET uri 'mongodb://h/?serverSelectionTryOnce=false');

-- Who may.
CREATE ROLE wt_mongo_user;
GRANT USAGE ON FOREIGN DATA WRAPPER windtrap_mongo TO wt_mongo_user;
GRANT USAGE ON FOREIGN SERVER mongo TO wt_mongo_user;
GRANT CREATE ON SCHEMA public TO wt_mongo_user;
SET ROLE wt_mongo_user;
CREATE SERVER own FOREIGN DATA WRAPPER windtrap_mongo OPTIONS (ssl 'true', ca_file '/etc/passwd');
CREATE SERVER own FOREIGN DATA WRAPPER windtrap_mongo OPTIONS (pem_file '/etc/passwd');
CREATE FOREIGN TABLE own (_id text) SERVER mongo OPTIONS (database 'option');
-- PostgreSQL 17 words it otherwise.
\set VERBOSITY sqlstate
SELECT * FROM own;
\set VERBOSITY default
-- He must say who he is.
CREATE USER MAPPING FOR wt_mongo_user SERVER mongo;
SELECT * FROM own;
INSERT INTO own VALUES ('a');
ALTER USER MAPPING FOR wt_mongo_user SERVER mongo OPTIONS (ADD password 'secret');
SELECT * FROM own;
ALTER USER MAPPING FOR wt_mongo_user SERVER mongo OPTIONS (ADD username 'u', ADD auth_mechanism 'MONGODB-X509');
SELECT * FROM own;
ALTER USER MAPPING FOR wt_mongo_user SERVER mongo OPTIONS (ADD password_required 'false');
RESET ROLE;
DROP USER MAPPING FOR wt_mongo_user SERVER mongo;
CREATE USER MAPPING FOR wt_mongo_user SERVER mongo OPTIONS (password_required 'false');
SET ROLE wt_mongo_user;
SELECT * FROM own;
RESET ROLE;

DROP FOREIGN TABLE own, t;
DROP USER MAPPING FOR wt_mongo_user SERVER mongo;
DROP SERVER s CASCADE;
DROP OWNED BY wt_mongo_user;
DROP ROLE wt_mongo_user;
