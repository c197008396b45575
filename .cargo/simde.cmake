# Uses the system's SIMDe headers where there are some; otherwise the engine's own build fetches
# them (which needs GitHub).
if(EXISTS "/usr/include/simde/simde-common.h")
  set(FETCHCONTENT_SOURCE_DIR_SIMDE "/usr/include" CACHE PATH "")
else()
  message(STATUS "SIMDe headers not found in /usr/include: install them (Debian: apt-get install libsimde-dev), or let the build fetch them from GitHub")
endif()
