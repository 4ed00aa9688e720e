-- A bridge for queries that cannot leave pgp_sym_decrypt before their data moves to another key.
--
-- IT LEAKS BOTH KEYS TO THE SERVER, as pgp_sym_decrypt does with its one: a key in a statement or a
-- parameter reaches the log (log_statement, log_min_duration_statement, auto_explain, the context of
-- an error) and pg_stat_activity. Prefer what opens values in the application: keywheel.unseal,
-- keywheel.sqlalchemy, keywheel.django.fields. Drop it when the move has ended:
--
--     DROP FUNCTION keywheel.pgp_sym_decrypt_any(bytea, text, text);
--
-- A value under the second key costs two derivations of a key. Give the new key first once most
-- rows have moved.
--
-- Install it in the database of the application, where pgcrypto is in the search path:
--
--     psql -f pgp_sym_decrypt_any.sql

CREATE SCHEMA IF NOT EXISTS keywheel;

-- Not SECURITY DEFINER, and granted to nobody: who may call it is said by its owner.
CREATE OR REPLACE FUNCTION keywheel.pgp_sym_decrypt_any(value bytea, first text, second text)
RETURNS text
LANGUAGE plpgsql
STABLE PARALLEL UNSAFE
AS $$
BEGIN
    RETURN pgp_sym_decrypt(value, first);
EXCEPTION
    -- "Wrong key or corrupt data" and its kin; anything else is no matter of keys.
    WHEN external_routine_invocation_exception THEN
        RETURN pgp_sym_decrypt(value, second);
END
$$;

REVOKE ALL ON FUNCTION keywheel.pgp_sym_decrypt_any(bytea, text, text) FROM PUBLIC;
