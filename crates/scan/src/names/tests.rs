//! Names of keys, and names that look like them.

use super::*;

#[test]
fn names_of_keys() {
    for name in [
        "SECRET_KEY",
        "secret",
        "jwtSecret",
        "JWT_SECRET_KEY",
        "secretKeyBase",
        "APP_KEY",
        "app.secret_key",
        "session.secret",
        "ENCRYPTION_KEY",
        "privateKey",
        "jwt.private-key",
        "SECURITY_PASSWORD_SALT",
        "WEBHOOK_SECRET",
        "JWT_PRIVATE_KEY_FILE",
        "HMAC_KEY_V2",
        "pgp_passphrase",
        "SECRET_KEY_FALLBACKS",
        "cookieSecret",
        "NEXTAUTH_SECRET",
        "LB_SECRET_EU",
        "APP_PREVIOUS_KEYS",
        "ENCRYPTION_SECONDARY_KEY",
        "jwt.private-key-location",
        "IP_SALT",
        "server.tls.key",
        "ACME_SSL_CERTKEY",
        "ACME_KEY_ENCRYPT",
        "SEAL_ENC_KEY_HEX",
        "MAC_KEY_HEX",
        "API_TOKEN_PEPPERS",
        "dkimKey",
        "mackey",
    ] {
        assert_eq!(judge(name), Some(Class::Key), "{name}");
    }
    for name in [
        "STRIPE_API_KEY",
        "clientSecret",
        "AWS_SECRET_ACCESS_KEY",
        "apiKey",
        "POSTMARK_API_KEY_BULK",
        "DOCKERHUB_TOKEN",
        "FACEBOOK_ACCESS_TOKEN",
        "GEO_LICENSE_KEY",
        "ACME_SERVICE_ROLE_KEY",
        "mapbox.token",
        "bearer_key",
    ] {
        assert_eq!(judge(name), Some(Class::Credential), "{name}");
    }
    assert_eq!(judge("JWT_PUBLIC_KEY"), Some(Class::Public));
    assert_eq!(judge("DB_PASSWORD"), Some(Class::Password));
}

#[test]
fn names_of_other_things() {
    for name in [
        "primary_key",
        "foreignKey",
        "cache_key",
        "secret_name",
        "SECRET_KEY_LENGTH",
        "keyboard",
        "jwt_algorithm",
        "key",
        "sort_key",
        "api_key_header",
        "CLIENT_SECRET_VAR",
        "SIGNING_KEY_FINGERPRINT",
        "role_key",
        "access_token",
        "refresh_token",
        "token",
        "secret_id",
        "publicPath",
        "idempotency_key",
        "JWT_EXPIRES_IN",
        "keys",
        "",
        "tokenUrl",
        "monkey",
        "secretary",
        "CSRF_TOKEN",
        "ACCESS_TOKEN",
        "EOF_TOKEN",
        "JWT_CACHE_KEY",
        "API_KEY_HEADER",
        "SECRET_KEY_NAME",
        "KEY_VAULT",
        "CACHE_KEY_PREFIX",
        "SESSION_COOKIE",
    ] {
        assert_eq!(judge(name), None, "{name}");
    }
}

#[test]
fn values_that_stand_for_one() {
    for value in ["changeme", "your-secret-here", "", "xxxxxxxx", "<key>", "super secret", "{key}"]
    {
        assert!(is_placeholder(value), "{value}");
    }
    assert!(!is_placeholder("k3f9qz81mvb2"));
}

#[test]
fn names_that_join_nothing() {
    for name in ["key", "Secret", "valueFrom.secretKeyRef.key", "private_key", "env.token"] {
        assert!(is_weak(name), "{name}");
    }
    for name in ["SECRET_KEY", "session.secret", "jwt.key", "API_KEY_EU"] {
        assert!(!is_weak(name), "{name}");
    }
}

#[test]
fn names_without_case_and_separators() {
    assert_eq!(folded("jwt-secretKey"), folded("JWT_SECRET_KEY"));
    assert_eq!(words("HTTPSecretKey2"), ["http", "secret", "key2"]);
}
