# A replacement for BuildPackage.

define BuildPackage
  $(eval $(Package/$(1)))
  export CONFFILES:=$$(Package/$(1)/conffiles)
  export DESCRIPTION:=$$(Package/$(1)/description)
  export POSTINST:=$$(Package/$(1)/postinst)
  export PRERM:=$$(Package/$(1)/prerm)
  export POSTRM:=$$(Package/$(1)/postrm)

  install:
	$(call Package/$(1)/install,$(DESTINATION))
	$(INSTALL_DIR) $(DESTINATION)/CONTROL
	printenv CONFFILES >$(DESTINATION)/CONTROL/conffiles
	printenv DESCRIPTION >$(DESTINATION)/CONTROL/description
	printenv POSTINST >$(DESTINATION)/CONTROL/postinst-pkg
	printenv PRERM >$(DESTINATION)/CONTROL/prerm-pkg
	printenv POSTRM >$(DESTINATION)/CONTROL/postrm

  prepare:
	$(call Build/Prepare)
endef

# Prints a variable of the package or of the build: make show VARIABLE=NAME
show:
	@echo "$($(VARIABLE))"
