"""An LMTP store with TLS and SASL that can be made to attack its client."""
