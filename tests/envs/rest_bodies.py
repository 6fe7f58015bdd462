"""Bodies at rest: joints where they start, where v/|v| has no value but physics has a gradient."""

JOINTS = """
<mujoco>
  <option timestep=".005" integrator="{integrator}"/>
  <default><geom contype="0" conaffinity="0" density="500"/></default>
  <worldbody>
    <site name="base" pos="4 0 1" euler="20 0 0"/>
    <body pos="0 0 1"><freejoint/><geom type="box" size=".1 .2 .3"/><site name="core"/></body>
    <body pos="1 0 1">
      <joint name="sprung" type="ball" stiffness="3" damping=".01"/>
      <geom type="capsule" size=".05" fromto="0 0 0 .1 0 -.4"/>
    </body>
    <body pos="2 0 1" euler="0 30 0">
      <joint name="held" type="ball" damping=".02"/>
      <geom type="box" size=".05 .1 .15" pos="0 .1 0"/>
    </body>
    <body pos="3 0 1">
      <joint type="free" stiffness="5" damping=".1"/>
      <geom type="ellipsoid" size=".1 .15 .2"/>
    </body>
    <body pos="4 0 1">
      <joint name="wrist" type="ball"/>
      <geom type="box" size=".1 .05 .02" pos=".1 0 0"/>
      <site name="tip" pos=".1 0 0" euler="20 0 0"/>
    </body>
    <body pos="5 0 1">
      <joint name="swing" axis="0 1 0" springref="20" stiffness="2"/>
      <geom type="capsule" size=".04" fromto="0 0 0 .3 0 0"/>
      <body pos=".3 0 0">
        <joint name="reach" type="slide" axis="1 0 0"/><geom size=".06"/>
      </body>
    </body>
  </worldbody>
  <tendon>
    <fixed name="both" actuatorfrclimited="true" actuatorfrcrange="-3 4">
      <joint joint="swing" coef="1"/><joint joint="reach" coef="-.5"/>
    </fixed>
  </tendon>
  <actuator>
    <motor site="core" gear="0 0 0 1 .5 -1"/>
    <motor joint="sprung" gear="1 .2 0"/>
    <position joint="held" gear="0 1 0" kp="4"/>
    <position jointinparent="held" gear=".5 0 1" kp="2" kv=".1"/>
    <position site="tip" refsite="base" gear="1 0 0 0 1 .3" kp="3"/>
    <velocity joint="reach" kv="2"/>
    <motor tendon="both" gear="2"/>
    <motor tendon="both" gear="-1"/>
  </actuator>
</mujoco>"""

CONTACTS = """
<mujoco>
  <option timestep=".004" integrator="{integrator}"/>
  <worldbody>
    <geom type="plane" size="0 0 1"/>
    <geom type="box" size=".5 .5 .1" pos="0 2 .1"/>
    <body pos="0 0 .0996"><freejoint name="ball"/><geom size=".1"/></body>
    <body pos=".1 2.2 .2993"><freejoint/><geom size=".1"/></body>
    <body pos="2 0 .0597" euler="0 90 20"><freejoint/><geom type="capsule" size=".06 .2"/></body>
    <body pos="-.1 1.8 .2597" euler="0 90 20">
      <freejoint/><geom type="capsule" size=".06 .15"/>
    </body>
    <body pos="3 0 .0996"><freejoint/><geom type="box" size=".2 .3 .1"/></body>
  </worldbody>
  <actuator><motor joint="ball" gear="0 0 0 1 0 0"/></actuator>
</mujoco>"""
