"""The rig: private mail servers for the end-to-end tests, each in its scratch folder."""
