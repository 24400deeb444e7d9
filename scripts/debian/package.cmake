# SPDX-License-Identifier: MIT
# Debian packages, one for each kind of user: the administrator of a broker, the user of a program
# that is linked with the library (in a container without a broker, for instance), and the author of
# such a program.
get_target_property(soversion fipc-client SOVERSION)
set(library_package libfipc-client${soversion})

# Debian leaves these to the administrator; the test of the packages says when one is missing.
set(control_files ${PROJECT_BINARY_DIR}/debian/conffiles)
file(WRITE ${control_files} "${FIPC_CONFIG_DIR}/fipcd.json\n${FIPC_CONFIG_DIR}/fipcd.schema.json\n")
foreach(script postinst prerm postrm)
    configure_file(${CMAKE_CURRENT_LIST_DIR}/${script} debian/${script} @ONLY)
    list(APPEND control_files ${PROJECT_BINARY_DIR}/debian/${script})
endforeach()

# Debian wants to find the licence below each package's own name; nobody else needs it twice.
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
foreach(component library development)
    string(TOUPPER ${component} COMPONENT)
    if(component STREQUAL library)
        set(package ${library_package})
    else()
        set(package libfipc-client-dev)
    endif()
    set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_NAME ${package})
    install(
        FILES LICENSE
        DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${package}
        RENAME copyright
        COMPONENT ${component}
        EXCLUDE_FROM_ALL
    )
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "the fipc authors <root@localhost>")
set(CPACK_STRIP_FILES ON)
# The config lies outside of the prefix.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL broker library development)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")

set(CPACK_DEBIAN_BROKER_PACKAGE_NAME ${PROJECT_NAME})
set(CPACK_DEBIAN_BROKER_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_BROKER_PACKAGE_DEPENDS "systemd, init-system-helpers")
set(CPACK_DEBIAN_BROKER_PACKAGE_CONTROL_EXTRA ${control_files})
set(CPACK_DEBIAN_BROKER_DESCRIPTION
    "${PROJECT_DESCRIPTION}
The broker fipcd, run by systemd, and the tool fipctl. Programs call one another
through it over rings in shared memory."
)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION
    "Client library of the message broker fipc
What programs need that call services through the broker of their host."
)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${library_package} (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION
    "Client library of the message broker fipc (development files)
Headers, the static library, and what pkg-config and CMake want to know."
)
include(CPack)
