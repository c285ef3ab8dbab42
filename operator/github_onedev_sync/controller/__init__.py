"""The controller process: wiring, and the thin handlers through which Kopf feeds the engine."""
