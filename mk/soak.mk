# soak.mk: random sequences against a model with new seeds, readers without pause: make soak SECONDS_LONG=3600.

.PHONY: soak

soak:
	@MASTERING_SOAK=$(or $(SECONDS_LONG),600) scripts/check.sh soak
